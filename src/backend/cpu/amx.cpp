#include "backend/cpu/amx.h"

#include <cstdlib>
#include <string>

#if defined(__x86_64__) && defined(__linux__)
#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

namespace tempera {
namespace {

bool limit_allows() {
  const char* limit = instruction_limit();
  if (limit == nullptr) return true;
  std::string name = limit;
  for (char& c : name)
    if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
  return name == "ALL" || name == "DEFAULT" || name.find("AMX") != std::string::npos;
}

#if defined(__x86_64__) && defined(__linux__)

// Intel's manual, CPUID: tiles, their products of bf16, and palette 1 (eight registers of 16 rows of 64 bytes). Some
// virtual machines report the instructions but no palette. There, each of them is illegal. The code around the products
// uses AVX-512 with bf16.
bool processor_has_tiles() {
  constexpr unsigned kBf16 = 1u << 22, kTile = 1u << 24;
  unsigned a = 0, b = 0, c = 0, d = 0;
  if (__builtin_cpu_supports("avx512bf16") == 0) return false;
  if (__get_cpuid_count(7, 0, &a, &b, &c, &d) == 0 || (d & kBf16) == 0 || (d & kTile) == 0) return false;
  if (__get_cpuid_count(0x1d, 0, &a, &b, &c, &d) == 0 || a < 1) return false;
  if (__get_cpuid_count(0x1d, 1, &a, &b, &c, &d) == 0) return false;
  return (b & 0xffff) == 64 && b >> 16 == 8 && (c & 0xffff) == 16;
}

// arch_prctl(2): requests the state of tiles for all threads of this process. Fails if the kernel does not save it.
bool system_grants_tiles() {
  constexpr long kRequest = 0x1023, kTileData = 18;  // ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA
  return syscall(SYS_arch_prctl, kRequest, kTileData) == 0;
}

#else

bool processor_has_tiles() {
  return false;
}
bool system_grants_tiles() {
  return false;
}

#endif

}  // namespace

const char* instruction_limit() {
  const char* limit = std::getenv("ONEDNN_MAX_CPU_ISA");
  return limit != nullptr ? limit : std::getenv("DNNL_MAX_CPU_ISA");
}

bool has_amx() {
  static const bool has = limit_allows() && processor_has_tiles() && system_grants_tiles();
  return has;
}

}  // namespace tempera
