#include "picture_stream.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <string_view>
#include <system_error>
#include <thread>

#include "console.h"
#include "interrupt.h"
#include "tempera/error.h"

namespace tempera::cli {
namespace {

[[noreturn]] void refuse(const std::string& message) {
  throw Error(ErrorCode::invalid_argument, message);
}

std::string reason(int error) {
  return std::error_code(error, std::generic_category()).message();
}

bool names_standard_output(std::string_view output) {
  constexpr std::array<std::string_view, 4> kNames = {"-", "/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"};
  return std::find(kNames.begin(), kNames.end(), output) != kNames.end();
}

bool is_pipe_or_character_device(const std::string& path) {
  struct stat info {};
  return ::stat(path.c_str(), &info) == 0 && (S_ISFIFO(info.st_mode) || S_ISCHR(info.st_mode));
}

// A descriptor of standard output. From here on, everything else that is written there goes to standard error.
int take_standard_output() {
  const int flags = ::fcntl(STDOUT_FILENO, F_GETFL);
  if (flags < 0 || (flags & O_ACCMODE) == O_RDONLY)
    refuse("--output is the standard output, which is closed: send it to a file or a pipe");
  if (::isatty(STDOUT_FILENO) != 0) {
    refuse(
        "--output is the standard output, which is a terminal: send it to a file or a pipe, as in tempera generate "
        "\"a red apple\" --output - > apple.png");
  }
  const int descriptor = ::fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
  if (descriptor < 0 || ::dup2(STDERR_FILENO, STDOUT_FILENO) < 0)
    throw Error(ErrorCode::io, fmt::format("cannot open the standard output: {}", reason(errno)));
  return descriptor;
}

// A pipe without a reader cannot be opened yet. Waiting in open() itself could not be interrupted.
int open_for_writing(const std::string& name) {
  constexpr std::chrono::milliseconds kPause(50);
  for (bool said = false;; said = true) {
    const int descriptor = ::open(name.c_str(), O_WRONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (descriptor >= 0) {
      ::fcntl(descriptor, F_SETFL, ::fcntl(descriptor, F_GETFL) & ~O_NONBLOCK);
      return descriptor;
    }
    if (errno != ENXIO && errno != EINTR)
      throw Error(ErrorCode::io, fmt::format("cannot write '{}': {}", name, reason(errno)));
    if (interrupted()) throw Error(ErrorCode::cancelled, fmt::format("stopped, no program read '{}'", name));
    if (!said) print_error(fmt::format("tempera: waiting for a program that reads '{}'", name));
    std::this_thread::sleep_for(kPause);
  }
}

}  // namespace

std::optional<PictureStream> PictureStream::of(const std::string& output, int images) {
  const bool standard = names_standard_output(output);
  if (!standard && !is_pipe_or_character_device(output)) return std::nullopt;
  if (images > 1) {
    refuse(fmt::format("--output '{}' is for one picture, but the request has {}: give the name of a file", output,
                       images));
  }
  if (standard) return PictureStream(output, take_standard_output());
  if (::access(output.c_str(), W_OK) != 0)
    refuse(fmt::format("--output '{}' cannot be written: {}", output, reason(errno)));
  return PictureStream(output, -1);
}

void PictureStream::write(std::span<const std::byte> bytes) const {
  const int descriptor = is_standard_output() ? descriptor_ : open_for_writing(name_);
  int error = 0;
  while (!bytes.empty() && error == 0) {
    const ssize_t written = ::write(descriptor, bytes.data(), bytes.size());
    if (written > 0) bytes = bytes.subspan(static_cast<size_t>(written));
    if (written < 0 && errno != EINTR) error = errno;
  }
  // Some file systems report a full disk only here.
  if (::close(descriptor) != 0 && error == 0 && errno != EINTR) error = errno;
  if (error != 0) throw Error(ErrorCode::io, fmt::format("cannot write '{}': {}", name_, reason(error)));
}

}  // namespace tempera::cli
