#include "backend/host_buffer.h"

#include <sys/mman.h>

#include <algorithm>

#include "backend/host_memory.h"
#include "base/error.h"

namespace tempera {
namespace {

constexpr size_t kHugePage = size_t{2} << 20;

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

std::unique_ptr<Buffer> allocate_host_buffer(size_t bytes) {
  const size_t available = free_host_memory();
  const auto refuse = [&] {
    fail(
        ErrorCode::out_of_memory,
        "not enough memory: {} MiB are needed at once and {} MiB are free; ask for a smaller picture or a memory limit",
        (bytes >> 20) + 1, available >> 20);
  };
  if (available > 0 && bytes > available) refuse();  // 0: unknown
  const bool huge = bytes >= kHugePage;
  const size_t mapped = std::max<size_t>(bytes, 1) + (huge ? kHugePage : 0);
  void* mapping = mmap(nullptr, mapped, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (mapping == MAP_FAILED) refuse();
  std::byte* begin = static_cast<std::byte*>(mapping);
  if (huge) {
    const size_t past = reinterpret_cast<uintptr_t>(begin) % kHugePage;
    begin += past == 0 ? 0 : kHugePage - past;
    madvise(begin, bytes, MADV_HUGEPAGE);  // only a hint: without it page faults are slower
  }
  return std::make_unique<HostBuffer>(static_cast<std::byte*>(mapping), mapped, begin, bytes);
}

}  // namespace tempera
