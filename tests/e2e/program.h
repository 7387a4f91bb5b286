// Runs the built tempera as a user would: arguments in, exit status and what it printed out.
#pragma once

#include <sys/types.h>

#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "support/files.h"

namespace tempera::test {

struct Ran {
  int status = -1;  // of exit; -1 when a signal ended it
  int signal = 0;
  std::string out, err;
};

struct Surroundings {
  std::filesystem::path folder;           // to run in
  std::string out_file;                   // standard output goes there instead, such as /dev/full
  bool terminal = false;                  // standard error is a terminal of 100 columns
  std::optional<size_t> file_size_limit;  // bytes that a file may grow to, as on a full disk
  // Called after every piece of standard error, with all of it so far: a place to send a signal from.
  std::function<void(std::string_view err, pid_t process)> on_error_text;
};

// Throws std::runtime_error when the program cannot be started, or has not ended after five minutes (it is killed
// then).
Ran run_tempera(const std::vector<std::string>& arguments, const Surroundings& surroundings = {});

}  // namespace tempera::test
