// Runs the built tempera like a user: arguments in, exit status and output out.
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
  int status = -1;  // of exit; -1 if a signal ended it
  int signal = 0;
  std::string out, err;
};

struct Surroundings {
  std::filesystem::path folder;           // the working directory
  std::string out_file;                   // file for standard output, such as /dev/full
  bool terminal = false;                  // standard error is a terminal of 100 columns
  std::optional<size_t> file_size_limit;  // the limit for the size of a file in bytes, as on a full disk
  // Called after every piece of standard error, with all of it so far. It may send a signal.
  std::function<void(std::string_view err, pid_t process)> on_error_text;
};

// Throws std::runtime_error if the program cannot be started or has not ended after five minutes (it is then killed).
Ran run_tempera(const std::vector<std::string>& arguments, const Surroundings& surroundings = {});

}  // namespace tempera::test
