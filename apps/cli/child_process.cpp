#include "child_process.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstring>

#include "tempera/error.h"

namespace tempera::cli {
namespace {

constexpr int kPollMilliseconds = 100;

[[noreturn]] void cannot_start(int error) {
  throw Error(ErrorCode::unavailable, fmt::format("cannot start another process of tempera: {}", std::strerror(error)));
}

pid_t spawn(const std::vector<std::string>& arguments, int out) {
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, out, STDOUT_FILENO);
  pid_t process = -1;
  const int error = spawn_tempera(arguments, actions, nullptr, process);
  posix_spawn_file_actions_destroy(&actions);
  if (error != 0) cannot_start(error);
  return process;
}

}  // namespace

std::string shell_words(const std::vector<std::string>& words) {
  constexpr std::string_view kPlain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_=+.,:/%@";
  std::string line;
  for (const std::string& word : words) {
    if (!line.empty()) line += ' ';
    if (!word.empty() && word.find_first_not_of(kPlain) == std::string::npos) {
      line += word;
      continue;
    }
    line += '\'';
    for (const char c : word) line += c == '\'' ? std::string("'\\''") : std::string(1, c);
    line += '\'';
  }
  return line;
}

int spawn_tempera(std::vector<std::string> arguments, const posix_spawn_file_actions_t& actions,
                  const posix_spawnattr_t* attributes, pid_t& process) {
  arguments.insert(arguments.begin(), "tempera");
  std::vector<char*> pointers;
  pointers.reserve(arguments.size() + 1);
  for (std::string& argument : arguments) pointers.push_back(argument.data());
  pointers.push_back(nullptr);
  return posix_spawn(&process, "/proc/self/exe", &actions, attributes, pointers.data(), environ);
}

ChildProcess::ChildProcess(const std::vector<std::string>& arguments) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) cannot_start(errno);
  out_ = ends[0];
  try {
    process_ = spawn(arguments, ends[1]);
  } catch (...) {
    close(ends[0]);
    close(ends[1]);
    throw;
  }
  close(ends[1]);
}

ChildProcess::~ChildProcess() {
  if (process_ > 0) kill(process_, SIGKILL);
  end();
  close(out_);
}

std::optional<std::string> ChildProcess::read_line(const std::function<bool()>& stop) {
  while (true) {
    if (const size_t end = text_.find('\n'); end != std::string::npos) {
      std::string line = text_.substr(0, end);
      text_.erase(0, end + 1);
      return line;
    }
    if (!asked_ && stop()) {
      asked_ = true;
      kill(process_, SIGTERM);
    }
    pollfd file{out_, POLLIN, 0};
    if (poll(&file, 1, kPollMilliseconds) <= 0) continue;
    char buffer[4096];
    const ssize_t count = read(out_, buffer, sizeof buffer);
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return std::nullopt;
    text_.append(buffer, static_cast<size_t>(count));
  }
}

std::string ChildProcess::end() {
  if (process_ < 0) return {};
  int status = 0;
  while (waitpid(process_, &status, 0) < 0 && errno == EINTR) continue;
  process_ = -1;
  if (WIFSIGNALED(status))
    return fmt::format("its process was ended by signal {} ({})", WTERMSIG(status), strsignal(WTERMSIG(status)));
  if (WEXITSTATUS(status) != 0) return fmt::format("its process ended with status {}", WEXITSTATUS(status));
  return {};
}

}  // namespace tempera::cli
