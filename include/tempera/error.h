// The one exception type of the library. Its message is a sentence that names the thing (file, tensor, option) and the
// remedy; its code says whose mistake it was, which decides the exit status of the command line: 2 for what the user
// can mend (invalid_argument, bad_file, unavailable), 1 for the rest.
#pragma once

#include <stdexcept>
#include <string>

namespace tempera {

enum class ErrorCode {
  invalid_argument,  // the user asked for something that cannot be: fix the request
  bad_file,          // a file is missing, truncated, malformed or of an unsupported kind
  out_of_memory,     // the request does not fit
  unavailable,       // a device or library this build or machine does not have
  io,                // reading or writing failed (disk full, permission)
  cancelled,         // stopped by the caller
  internal,          // our own mistake
};

class Error : public std::runtime_error {
 public:
  Error(ErrorCode code, const std::string& message) : std::runtime_error(message), code_(code) {}
  ErrorCode code() const noexcept { return code_; }

 private:
  ErrorCode code_;
};

}  // namespace tempera
