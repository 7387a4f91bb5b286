#include "program.h"

#include <fcntl.h>
#include <poll.h>
#include <pty.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <stdexcept>

namespace tempera::test {
namespace {

constexpr std::chrono::minutes kLongest(5);

struct Pipe {
  int read_end = -1, write_end = -1;
};

Pipe make_pipe() {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) throw std::runtime_error("pipe failed");
  return {ends[0], ends[1]};
}

Pipe make_terminal() {
  Pipe pipe;
  winsize size{};
  size.ws_col = 100;
  size.ws_row = 24;
  if (openpty(&pipe.read_end, &pipe.write_end, nullptr, nullptr, &size) != 0)
    throw std::runtime_error("openpty failed");
  fcntl(pipe.read_end, F_SETFD, FD_CLOEXEC);
  return pipe;
}

// Runs in the child after fork, so it uses only functions that are safe there.
[[noreturn]] void become_tempera(char* const* arguments, const Surroundings& surroundings, int out, int err) {
  const bool moved = surroundings.folder.empty() || chdir(surroundings.folder.c_str()) == 0;
  const int in = open("/dev/null", O_RDONLY);
  if (!surroundings.out_file.empty()) out = open(surroundings.out_file.c_str(), O_WRONLY);
  if (!moved || in < 0 || out < 0 || dup2(in, 0) < 0 || dup2(out, 1) < 0 || dup2(err, 2) < 0) _exit(126);
  if (surroundings.file_size_limit) {
    const rlimit limit{*surroundings.file_size_limit, *surroundings.file_size_limit};
    if (setrlimit(RLIMIT_FSIZE, &limit) != 0) _exit(126);
  }
  signal(SIGPIPE, SIG_DFL);
  execv(arguments[0], arguments);
  _exit(127);
}

// Appends the available output. False at the end. A closed terminal gives EIO.
bool read_some(int descriptor, std::string& text) {
  char buffer[4096];
  const ssize_t count = read(descriptor, buffer, sizeof buffer);
  if (count < 0) return errno == EINTR;
  text.append(buffer, static_cast<size_t>(count));
  return count > 0;
}

}  // namespace

Ran run_tempera(const std::vector<std::string>& arguments, const Surroundings& surroundings) {
  std::vector<std::string> words = {TEMPERA_BINARY};
  words.insert(words.end(), arguments.begin(), arguments.end());
  std::vector<char*> pointers;
  for (std::string& word : words) pointers.push_back(word.data());
  pointers.push_back(nullptr);

  const Pipe out = make_pipe(), err = surroundings.terminal ? make_terminal() : make_pipe();
  const pid_t process = fork();
  if (process < 0) throw std::runtime_error("fork failed");
  if (process == 0) become_tempera(pointers.data(), surroundings, out.write_end, err.write_end);
  close(out.write_end);
  close(err.write_end);

  Ran ran;
  pollfd files[2] = {{out.read_end, POLLIN, 0}, {err.read_end, POLLIN, 0}};
  const auto deadline = std::chrono::steady_clock::now() + kLongest;
  while (files[0].fd >= 0 || files[1].fd >= 0) {
    poll(files, 2, 1000);
    if (std::chrono::steady_clock::now() > deadline) {
      kill(process, SIGKILL);
      break;
    }
    if (files[0].revents != 0 && !read_some(files[0].fd, ran.out)) files[0].fd = -1;
    if (files[1].revents != 0) {
      if (!read_some(files[1].fd, ran.err)) files[1].fd = -1;
      if (surroundings.on_error_text) surroundings.on_error_text(ran.err, process);
    }
  }
  close(out.read_end);
  close(err.read_end);
  int status = 0;
  while (waitpid(process, &status, 0) < 0 && errno == EINTR) continue;
  if (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL) throw std::runtime_error("tempera did not end: " + ran.err);
  if (WIFEXITED(status)) ran.status = WEXITSTATUS(status);
  if (WIFSIGNALED(status)) ran.signal = WTERMSIG(status);
  if (ran.status == 126 || ran.status == 127) throw std::runtime_error("cannot start " + words[0]);
  return ran;
}

}  // namespace tempera::test
