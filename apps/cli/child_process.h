// Runs this program in a new process, so that its memory is empty and its clock is 0 at the start.
#pragma once

#include <spawn.h>
#include <sys/types.h>

#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace tempera::cli {

// A command for people to type again: words with anything special in them are quoted.
std::string shell_words(const std::vector<std::string>& words);

// Starts this program with these arguments. `attributes` may be null. Returns 0 and sets `process`, or an error number.
int spawn_tempera(std::vector<std::string> arguments, const posix_spawn_file_actions_t& actions,
                  const posix_spawnattr_t* attributes, pid_t& process);

class ChildProcess {
 public:
  // Starts with these arguments; standard error is shared. Throws Error(unavailable).
  explicit ChildProcess(const std::vector<std::string>& arguments);
  // A process that still runs is ended.
  ~ChildProcess();
  ChildProcess(const ChildProcess&) = delete;
  ChildProcess& operator=(const ChildProcess&) = delete;

  // The next line of its standard output, without the line break; nothing at the end. While waiting, `stop` is polled.
  // When it is true, SIGTERM is sent to the process, and the rest of its output is read.
  std::optional<std::string> read_line(const std::function<bool()>& stop);

  // Waits for the end. Returns "" if the exit status is 0, else a sentence.
  std::string end();

 private:
  pid_t process_ = -1;  // -1: the process was waited for
  int out_ = -1;
  std::string text_;  // read, but not returned yet
  bool asked_ = false;
};

}  // namespace tempera::cli
