#include "backend/cpu/kernels/bench.h"

#include <time.h>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <functional>
#include <random>
#include <string_view>

#include "base/half.h"
#include "base/parallel.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace tempera::bench {
namespace {

#if defined(__x86_64__)
// Twelve independent chains. Two units with a latency of four need eight. With inline assembly, the compiler removes
// none of them.
#define TEMPERA_CHAINS(OP) OP(0) OP(1) OP(2) OP(3) OP(4) OP(5) OP(6) OP(7) OP(8) OP(9) OP(10) OP(11)

__attribute__((target("avx2,fma"), noinline)) void chains_avx2(int64_t n) {
  const __m256 a = _mm256_set1_ps(1.0f), b = _mm256_set1_ps(1e-9f);
#define TEMPERA_OP(i) __m256 c##i = _mm256_setzero_ps();
  TEMPERA_CHAINS(TEMPERA_OP)
#undef TEMPERA_OP
  for (int64_t k = 0; k < n; ++k) {
#define TEMPERA_OP(i) asm volatile("vfmadd231ps %1, %2, %0" : "+x"(c##i) : "x"(a), "x"(b));
    TEMPERA_CHAINS(TEMPERA_OP)
#undef TEMPERA_OP
  }
}

__attribute__((target("avx512f"), noinline)) void chains_avx512(int64_t n) {
  const __m512 a = _mm512_set1_ps(1.0f), b = _mm512_set1_ps(1e-9f);
#define TEMPERA_OP(i) __m512 c##i = _mm512_setzero_ps();
  TEMPERA_CHAINS(TEMPERA_OP)
#undef TEMPERA_OP
  for (int64_t k = 0; k < n; ++k) {
#define TEMPERA_OP(i) asm volatile("vfmadd231ps %1, %2, %0" : "+v"(c##i) : "v"(a), "v"(b));
    TEMPERA_CHAINS(TEMPERA_OP)
#undef TEMPERA_OP
  }
}

__attribute__((target("avx512f"), noinline)) void chains_bf16(int64_t n) {
  const __m512i a = _mm512_set1_epi32(0x3f803f80), b = _mm512_set1_epi32(0x30003000);
#define TEMPERA_OP(i) __m512 c##i = _mm512_setzero_ps();
  TEMPERA_CHAINS(TEMPERA_OP)
#undef TEMPERA_OP
  for (int64_t k = 0; k < n; ++k) {
#define TEMPERA_OP(i) asm volatile("vdpbf16ps %1, %2, %0" : "+v"(c##i) : "v"(a), "v"(b));
    TEMPERA_CHAINS(TEMPERA_OP)
#undef TEMPERA_OP
  }
}

struct Chains {
  const char* name;
  void (*run)(int64_t n);
  double flops;  // of one turn
};

Chains chains(PeakKind kind) {
  const bool avx512 = __builtin_cpu_supports("avx512f") != 0;
  if (kind == PeakKind::bf16 && avx512 && __builtin_cpu_supports("avx512bf16") != 0)
    return {"AVX-512 bf16", chains_bf16, 12.0 * 64};
  if (avx512) return {"AVX-512 f32", chains_avx512, 12.0 * 32};
  if (__builtin_cpu_supports("avx2") != 0 && __builtin_cpu_supports("fma") != 0)
    return {"AVX2 f32", chains_avx2, 12.0 * 16};
  return {"none", nullptr, 0};
}
#else
struct Chains {
  const char* name = "none";
  void (*run)(int64_t n) = nullptr;
  double flops = 0;
};
Chains chains(PeakKind) {
  return {};
}
#endif

}  // namespace

double seconds() {
  timespec t{};
  clock_gettime(thread_count() == 1 ? CLOCK_THREAD_CPUTIME_ID : CLOCK_MONOTONIC, &t);
  return static_cast<double>(t.tv_sec) + 1e-9 * static_cast<double>(t.tv_nsec);
}

double measure_peak(PeakKind kind, double milliseconds) {
  const Chains c = chains(kind);
  if (c.run == nullptr) return 0;
  std::atomic<int64_t> turns{0};
  const double begin = seconds(), until = begin + 1e-3 * milliseconds;
  const auto body = [&](int, int) {
    int64_t done = 0;
    for (; seconds() < until; done += 10000) c.run(10000);
    turns += done;
  };
  parallel_region(std::cref(body));
  return static_cast<double>(turns.load()) * c.flops / (seconds() - begin) * 1e-9;
}

const char* peak_name(PeakKind kind) {
  return chains(kind).name;
}

double median(std::vector<double> values) {
  const auto middle = values.begin() + static_cast<ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

std::unique_ptr<Bytes> random_tensor(const TensorDesc& desc) {
  auto bytes = std::make_unique<Bytes>(desc.bytes());
  std::minstd_rand random(1);
  std::vector<float> values(static_cast<size_t>(desc.shape.elements()));
  for (float& v : values) v = static_cast<float>(random() % 2001) * 1e-3f - 1.0f;
  convert(values.data(), DType::f32, bytes->data(), desc.dtype, values.size());
  return bytes;
}

int threads_from(int& argc, char** argv) {
  for (int i = 1; i + 1 < argc; ++i)
    if (std::string_view(argv[i]) == "--threads") {
      const int threads = std::atoi(argv[i + 1]);
      std::copy(argv + i + 2, argv + argc, argv + i);
      argc -= 2;
      return threads;
    }
  return thread_count();
}

}  // namespace tempera::bench
