#include "base/mapped_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <system_error>

#include "base/error.h"

namespace tempera {
namespace {
// The size of the aligned block that Linux maps at most when a page is touched and the file is in memory:
// fault_around_bytes, 64 KiB, or one large page.
constexpr size_t kFaultAround = 2 << 20;

// Whole pages inside the range as an address and a length; length 0 when there are none.
std::pair<void*, size_t> whole_pages(std::span<const std::byte> range) {
  const auto page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  const size_t skip = (page - reinterpret_cast<uintptr_t>(range.data()) % page) % page;
  if (range.size() < skip) return {nullptr, 0};
  return {const_cast<std::byte*>(range.data()) + skip, (range.size() - skip) / page * page};
}
}  // namespace

MappedFile::MappedFile(const std::filesystem::path& path) : path_(path) {
  const auto reason = [] { return std::error_code(errno, std::generic_category()).message(); };
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);  // a pipe would wait
  if (fd < 0) fail(ErrorCode::bad_file, "cannot open '{}': {}", path.string(), reason());
  struct stat info {};
  if (::fstat(fd, &info) != 0 || !S_ISREG(info.st_mode)) {
    ::close(fd);
    fail(ErrorCode::bad_file, "'{}' is not a regular file", path.string());
  }
  size_ = static_cast<size_t>(info.st_size);
  if (size_ > 0) {
    void* mapped = ::mmap(nullptr, size_, PROT_READ, MAP_PRIVATE, fd, 0);
    if (mapped == MAP_FAILED) {
      const bool no_space = errno == ENOMEM;
      std::string why = reason();
      if (no_space) why += fmt::format(", it has {} bytes: raise the limit of the address space (ulimit -v)", size_);
      ::close(fd);
      fail(ErrorCode::io, "cannot map '{}': {}", path.string(), why);
    }
    data_ = static_cast<const std::byte*>(mapped);
  }
  ::close(fd);
}

MappedFile::~MappedFile() {
  if (data_ != nullptr) ::munmap(const_cast<std::byte*>(data_), size_);
}

void MappedFile::release(std::span<const std::byte> range) const noexcept {
  if (range.empty()) return;
  const size_t shift = reinterpret_cast<uintptr_t>(data_) % kFaultAround;  // addresses are aligned, offsets are not
  const size_t begin = static_cast<size_t>(range.data() - data_) + shift;
  const size_t from = std::max(begin / kFaultAround * kFaultAround, shift) - shift;
  const size_t to = (begin + range.size() + kFaultAround - 1) / kFaultAround * kFaultAround - shift;
  ::madvise(const_cast<std::byte*>(data_) + from, std::min(to, size_) - from, MADV_DONTNEED);
}

void MappedFile::prefetch(std::span<const std::byte> range) const noexcept {
  if (const auto [address, length] = whole_pages(range); length > 0) ::madvise(address, length, MADV_WILLNEED);
}

}  // namespace tempera
