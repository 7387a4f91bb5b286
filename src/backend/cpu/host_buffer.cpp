#include "backend/cpu/host_buffer.h"

#include <sys/mman.h>

#include <algorithm>
#include <fstream>
#include <limits>
#include <string>

#include "base/error.h"

namespace tempera {
namespace {

constexpr size_t kHugePage = size_t{2} << 20;

// The number in a file such as /sys/fs/cgroup/memory.max; nothing when it is missing or says "max".
std::optional<size_t> number_in(const char* path) {
  std::ifstream file(path);
  size_t value = 0;
  if (file >> value) return value;
  return std::nullopt;
}

class HostBuffer final : public Buffer {
 public:
  HostBuffer(std::byte* mapping, size_t mapped, std::byte* begin, size_t bytes)
      : mapping_(mapping), mapped_(mapped), begin_(begin), bytes_(bytes) {}
  ~HostBuffer() override { munmap(mapping_, mapped_); }
  HostBuffer(const HostBuffer&) = delete;
  HostBuffer& operator=(const HostBuffer&) = delete;

  std::byte* data() override { return begin_; }
  size_t size() const override { return bytes_; }

 private:
  std::byte* mapping_;
  size_t mapped_;
  std::byte* begin_;
  size_t bytes_;
};

}  // namespace

size_t available_host_memory() {
  size_t available = std::numeric_limits<size_t>::max();
  std::ifstream meminfo("/proc/meminfo");
  for (std::string key, unit; meminfo >> key;) {
    size_t kilobytes = 0;
    meminfo >> kilobytes;
    std::getline(meminfo, unit);
    if (key == "MemAvailable:") available = kilobytes * 1024;
  }
  const auto limit = number_in("/sys/fs/cgroup/memory.max"), used = number_in("/sys/fs/cgroup/memory.current");
  if (limit && used) available = std::min(available, *limit - std::min(*limit, *used));
  return available;
}

std::unique_ptr<Buffer> allocate_host_buffer(size_t bytes) {
  const size_t available = available_host_memory();
  const auto refuse = [&] {
    fail(
        ErrorCode::out_of_memory,
        "not enough memory: {} MiB are needed at once and {} MiB are free; ask for a smaller picture or a memory limit",
        (bytes >> 20) + 1, available >> 20);
  };
  if (bytes > available) refuse();
  const bool huge = bytes >= kHugePage;
  const size_t mapped = std::max<size_t>(bytes, 1) + (huge ? kHugePage : 0);
  void* mapping = mmap(nullptr, mapped, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (mapping == MAP_FAILED) refuse();
  std::byte* begin = static_cast<std::byte*>(mapping);
  if (huge) {
    const size_t past = reinterpret_cast<uintptr_t>(begin) % kHugePage;
    begin += past == 0 ? 0 : kHugePage - past;
    madvise(begin, bytes, MADV_HUGEPAGE);  // advice: without it only page faults cost more
  }
  return std::make_unique<HostBuffer>(static_cast<std::byte*>(mapping), mapped, begin, bytes);
}

}  // namespace tempera
