#include "source/catalog/sha256.h"

#include <fcntl.h>
#include <nettle/sha2.h>
#include <nettle/version.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <vector>

#include "base/error.h"

namespace tempera {
namespace {

class OpenFile {
 public:
  explicit OpenFile(const std::filesystem::path& path)
      : path_(path), descriptor_(open(path.c_str(), O_RDONLY | O_CLOEXEC)) {
    if (descriptor_ < 0) fail_now();
    posix_fadvise(descriptor_, 0, 0, POSIX_FADV_SEQUENTIAL);
  }
  ~OpenFile() { close(descriptor_); }
  OpenFile(const OpenFile&) = delete;
  OpenFile& operator=(const OpenFile&) = delete;

  uint64_t size() const {
    struct stat status {};
    if (fstat(descriptor_, &status) != 0) fail_now();
    return static_cast<uint64_t>(status.st_size);
  }

  void seek(uint64_t offset) const {
    if (lseek(descriptor_, static_cast<off_t>(offset), SEEK_SET) < 0) fail_now();
  }

  // 0 at the end.
  size_t read_some(std::vector<uint8_t>& buffer) const {
    ssize_t count = 0;
    do count = read(descriptor_, buffer.data(), buffer.size());
    while (count < 0 && errno == EINTR);
    if (count < 0) fail_now();
    return static_cast<size_t>(count);
  }

 private:
  [[noreturn]] void fail_now() const {
    fail(ErrorCode::io, "cannot read '{}': {}", path_.string(), std::strerror(errno));
  }

  const std::filesystem::path& path_;
  int descriptor_;
};

}  // namespace

std::string sha256_of_file(const std::filesystem::path& file, const HashCallbacks& callbacks, uint64_t first) {
  const OpenFile input(file);
  const uint64_t size = input.size(), total = size - std::min(first, size);
  input.seek(first);
  sha256_ctx context;
  sha256_init(&context);
  std::vector<uint8_t> buffer(1 << 20);
  uint64_t done = 0;
  while (const size_t count = input.read_some(buffer)) {
    sha256_update(&context, count, buffer.data());
    done += count;
    if (callbacks.cancelled && callbacks.cancelled()) fail(ErrorCode::cancelled, "stopped");
    if (callbacks.progress) callbacks.progress(done, total);
  }
  std::array<uint8_t, SHA256_DIGEST_SIZE> digest;
  sha256_digest(&context, digest.size(), digest.data());
  std::string hex;
  for (const uint8_t byte : digest) hex += fmt::format("{:02x}", byte);
  return hex;
}

std::string nettle_library_version() {
  return fmt::format("{}.{}", nettle_version_major(), nettle_version_minor());
}

}  // namespace tempera
