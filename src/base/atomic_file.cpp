#include "base/atomic_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <random>
#include <system_error>
#include <utility>

#include "base/error.h"

namespace tempera {
namespace {
// A hidden name in the same folder as `path` that no other process is likely to choose. Names are at most 255 bytes
// long.
std::filesystem::path temporary_name(const std::filesystem::path& path) {
  std::random_device random;
  const std::string name = path.filename().string().substr(0, 200);
  return path.parent_path() / fmt::format(".{}.{:08x}{:08x}.tmp", name, random(), random());
}

std::filesystem::path folder_of(const std::filesystem::path& path) {
  return path.has_parent_path() ? path.parent_path() : std::filesystem::path(".");
}

// The file that a symbolic link names, also one that does not exist yet. A loop stays a link, and is refused later.
std::filesystem::path without_links(std::filesystem::path path) {
  std::error_code error;
  for (int i = 0; i < 40 && std::filesystem::is_symlink(path, error); ++i)
    path = path.parent_path() / std::filesystem::read_symlink(path, error);
  return path;
}

// After this, the rename survives a power cut. File systems that cannot flush a folder return EINVAL.
int flush_folder(const std::filesystem::path& folder) {
  const int fd = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return errno;
  const int error = ::fsync(fd) == 0 ? 0 : errno;
  ::close(fd);
  return error == EINVAL ? 0 : error;
}
}  // namespace

AtomicFile::AtomicFile(std::filesystem::path path, IfExists if_exists) : path_(std::move(path)), if_exists_(if_exists) {
  target_ = if_exists_ == IfExists::replace ? without_links(path_) : path_;
  if (!path_.has_filename()) fail_with(EISDIR);
  struct stat info {};
  if (::stat(path_.c_str(), &info) == 0) {
    if (S_ISDIR(info.st_mode)) fail_with(EISDIR);
    if (!S_ISREG(info.st_mode)) {
      fail(ErrorCode::io, "cannot write '{}': it is not a regular file", path_.string());
    }
    if (if_exists_ == IfExists::fail) fail_with(EEXIST);
  }
  do {
    temporary_ = temporary_name(target_);
    fd_ = ::open(temporary_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
  } while (fd_ < 0 && (errno == EEXIST || errno == EINTR));
  if (fd_ < 0) fail_with(errno);
}

AtomicFile::~AtomicFile() {
  if (fd_ >= 0) ::close(fd_);
  if (!temporary_.empty()) ::unlink(temporary_.c_str());
}

void AtomicFile::append(std::span<const std::byte> bytes) {
  write_at(end_, bytes);
  end_ += bytes.size();
}

void AtomicFile::write_at(uint64_t offset, std::span<const std::byte> bytes) {
  TEMPERA_ASSERT(fd_ >= 0);
  while (!bytes.empty()) {
    // One call of Linux writes at most 2 GiB less a page.
    const size_t length = std::min<size_t>(bytes.size(), size_t{1} << 30);
    const ssize_t written = ::pwrite(fd_, bytes.data(), length, static_cast<off_t>(offset));
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) fail_with(errno);
    if (written == 0) fail_with(ENOSPC);
    bytes = bytes.subspan(static_cast<size_t>(written));
    offset += static_cast<uint64_t>(written);
  }
}

void AtomicFile::commit() {
  TEMPERA_ASSERT(fd_ >= 0);
  while (::fsync(fd_) != 0) {
    if (errno != EINTR) fail_with(errno);
  }
  // Network file systems report some failures only here. Linux closes the file even when it returns EINTR.
  if (::close(std::exchange(fd_, -1)) != 0 && errno != EINTR) fail_with(errno);
  rename_to_path();
  temporary_.clear();
  // A folder with write permission but without read permission cannot be opened for a flush.
  if (const int error = flush_folder(folder_of(target_)); error != 0 && error != EACCES) fail_with(error);
}

void AtomicFile::rename_to_path() {
  if (if_exists_ == IfExists::replace) {
    if (std::rename(temporary_.c_str(), target_.c_str()) != 0) fail_with(errno);
    return;
  }
  if (::renameat2(AT_FDCWD, temporary_.c_str(), AT_FDCWD, target_.c_str(), RENAME_NOREPLACE) == 0) return;
  if (errno != EINVAL && errno != ENOSYS && errno != EPERM && errno != EOPNOTSUPP) fail_with(errno);
  // A file system or kernel without that flag, which may have no hard links either: an empty file reserves the name.
  const int reserved = ::open(target_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
  if (reserved < 0) fail_with(errno);
  ::close(reserved);
  if (std::rename(temporary_.c_str(), target_.c_str()) != 0) {
    const int error = errno;
    ::unlink(target_.c_str());
    fail_with(error);
  }
}

void AtomicFile::fail_with(int error) const {
  std::string reason = std::error_code(error, std::generic_category()).message();
  if (error == EEXIST) {
    fail(ErrorCode::invalid_argument, "'{}' exists already and is not overwritten: choose another name or remove it",
         path_.string());
  }
  if (error == ENOSPC || error == EDQUOT) {
    reason += ": free some space or choose another folder";
  } else if (error == ENOENT) {
    reason = fmt::format("the folder '{}' does not exist", folder_of(target_).string());
  }
  fail(ErrorCode::io, "cannot write '{}': {}", path_.string(), reason);
}

void write_file_atomically(const std::filesystem::path& path, std::span<const std::byte> bytes, IfExists if_exists) {
  AtomicFile file(path, if_exists);
  file.append(bytes);
  file.commit();
}

}  // namespace tempera
