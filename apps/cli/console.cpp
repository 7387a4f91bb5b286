#include "console.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <string>

#include "progress_bar.h"
#include "tempera/error.h"

namespace tempera::cli {

void keep_standard_streams_open() {
  for (int descriptor = 0; descriptor <= 2; ++descriptor) {
    // open returns the lowest free descriptor, which is this one. It is read-only, so that writing to it is an error.
    if (fcntl(descriptor, F_GETFD) < 0 && errno == EBADF && open("/dev/null", O_RDONLY) < 0) return;
  }
}

void print_out(std::string_view text) {
  const bool written = std::fwrite(text.data(), 1, text.size(), stdout) == text.size();
  if (!written || std::fflush(stdout) != 0) {
    throw Error(ErrorCode::io, fmt::format("cannot write to the standard output: {}", std::strerror(errno)));
  }
}

void print_error(std::string_view line) {
  std::string text(line);
  for (char& c : text) {
    if (static_cast<unsigned char>(c) < ' ' && c != '\t') c = '?';
  }
  text += '\n';
  std::fputs(text.c_str(), stderr);
}

LogSink warnings_to_console(ProgressBar* bar) {
  return [bar](LogLevel level, std::string_view text) {
    if (level != LogLevel::warning) return;
    if (bar != nullptr) bar->clear();
    print_error(fmt::format("tempera: warning: {}", text));
  };
}

}  // namespace tempera::cli
