#include "base/staging_folder.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <random>
#include <string>
#include <system_error>
#include <utility>

#include "base/error.h"

namespace tempera {
namespace fs = std::filesystem;

namespace {

constexpr std::string_view kEnding = ".tmp";
constexpr size_t kRandomDigits = 16, kMaxName = 200;  // names are at most 255 bytes long

fs::path folder_of(const fs::path& path) {
  return path.has_parent_path() ? path.parent_path() : fs::path(".");
}

// ".NAME."
std::string beginning(const fs::path& target) {
  return fmt::format(".{}.", target.filename().string().substr(0, kMaxName));
}

bool is_staging_name(const std::string& name, const std::string& begin) {
  if (name.size() != begin.size() + kRandomDigits + kEnding.size()) return false;
  const auto digits = name.substr(begin.size(), kRandomDigits);
  return name.starts_with(begin) && name.ends_with(kEnding) &&
         digits.find_first_not_of("0123456789abcdef") == std::string::npos;
}

// Opens and locks a folder. -1 and errno: it cannot be opened or locked; EWOULDBLOCK: another process has it locked.
int lock_folder(const fs::path& folder) {
  const int fd = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  if (fd < 0 || ::flock(fd, LOCK_EX | LOCK_NB) == 0) return fd;
  const int error = errno;
  ::close(fd);
  errno = error;
  return -1;
}

void remove_leftovers(const fs::path& target) {
  const std::string begin = beginning(target);
  std::error_code error;
  for (fs::directory_iterator at(folder_of(target), error), end; !error && at != end; at.increment(error)) {
    if (!is_staging_name(at->path().filename().string(), begin)) continue;
    const int fd = lock_folder(at->path());
    if (fd < 0) continue;
    std::error_code ignored;
    fs::remove_all(at->path(), ignored);
    ::close(fd);
  }
}

bool is_empty_folder(const fs::path& path) {
  std::error_code error;
  return fs::is_directory(fs::symlink_status(path, error)) && fs::is_empty(path, error) && !error;
}

// After this, the new name survives a power cut. Some file systems cannot flush a folder (EINVAL).
int flush_folder(const fs::path& folder) {
  const int fd = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return errno == EACCES ? 0 : errno;
  const int error = ::fsync(fd) == 0 || errno == EINVAL ? 0 : errno;
  ::close(fd);
  return error;
}
}  // namespace

StagingFolder::StagingFolder(fs::path target) : target_(std::move(target)) {
  if (!target_.has_filename()) target_ = target_.parent_path();  // "folder/"
  std::error_code error;
  if (fs::exists(fs::symlink_status(target_, error)) && !is_empty_folder(target_)) fail_with(EEXIST);
  remove_leftovers(target_);
  std::random_device random;
  for (;;) {
    path_ = folder_of(target_) / fmt::format("{}{:08x}{:08x}{}", beginning(target_), random(), random(), kEnding);
    if (::mkdir(path_.c_str(), 0777) != 0) {
      if (errno == EEXIST || errno == EINTR) continue;
      const int reason = errno;
      path_.clear();
      fail_with(reason);
    }
    lock_ = lock_folder(path_);
    // Another process may have locked or removed the folder before. On a file system without locks, no process does.
    if (lock_ < 0 && (errno == EWOULDBLOCK || errno == ENOENT)) continue;
    struct stat info {};
    if (::stat(path_.c_str(), &info) == 0) return;
    if (lock_ >= 0) ::close(std::exchange(lock_, -1));
  }
}

StagingFolder::~StagingFolder() {
  std::error_code ignored;
  if (!path_.empty()) fs::remove_all(path_, ignored);
  if (lock_ >= 0) ::close(lock_);
}

void StagingFolder::commit_folder() {
  if (is_empty_folder(target_)) {
    // rename() replaces a folder only if it is empty.
    if (std::rename(path_.c_str(), target_.c_str()) != 0) fail_with(errno);
  } else {
    rename(path_);
  }
  path_.clear();
  if (const int error = flush_folder(folder_of(target_)); error != 0) fail_with(error);
}

void StagingFolder::commit_file() {
  if (is_empty_folder(target_)) fail_with(EISDIR);
  rename(path_ / target_.filename());
  if (const int error = flush_folder(folder_of(target_)); error != 0) fail_with(error);
}

void StagingFolder::rename(const fs::path& from) const {
  if (::renameat2(AT_FDCWD, from.c_str(), AT_FDCWD, target_.c_str(), RENAME_NOREPLACE) == 0) return;
  if (errno != EINVAL && errno != ENOSYS && errno != EPERM && errno != EOPNOTSUPP) fail_with(errno);
  // A file system or kernel without that flag.
  std::error_code error;
  if (fs::exists(fs::symlink_status(target_, error))) fail_with(EEXIST);
  if (std::rename(from.c_str(), target_.c_str()) != 0) fail_with(errno);
}

void StagingFolder::fail_with(int error) const {
  if (error == EEXIST || error == ENOTEMPTY) {
    fail(ErrorCode::invalid_argument, "'{}' exists already and is not overwritten: choose another name or remove it",
         target_.string());
  }
  std::string reason = std::error_code(error, std::generic_category()).message();
  if (error == ENOENT) reason = fmt::format("the folder '{}' does not exist: create it", folder_of(target_).string());
  if (error == EISDIR) reason = "it is a folder: choose another name or remove it";
  if (error == ENOSPC || error == EDQUOT) reason += ": free some space or choose another folder";
  if (error == EACCES || error == EPERM || error == EROFS) reason += ": choose another folder";
  fail(ErrorCode::io, "cannot write '{}': {}", target_.string(), reason);
}

}  // namespace tempera
