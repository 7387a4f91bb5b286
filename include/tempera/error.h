// The only exception type of the library. Its message is a sentence that names the thing (file, tensor, field of the
// request) and the remedy. Its code decides the exit status of the command line: 2 for errors that the user can correct
// (invalid_argument, bad_file, unavailable), 1 for the others.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace tempera {

enum class ErrorCode {
  invalid_argument,  // the request is not possible: change it
  bad_file,          // a file is missing, truncated, malformed or of an unsupported kind
  out_of_memory,     // the request does not fit
  unavailable,       // this build or machine has no such device or library
  io,                // reading or writing failed (disk full, permission)
  cancelled,         // stopped by the caller
  internal,          // an error in tempera itself
};

// A sentence, and the positions of the field names in it. A field name is a Field::name of request_fields(), or the
// name of a member of another option structure. Values from the user (file names, prompts, numbers) are never marked,
// even if they contain a field name.
struct Message {
  struct Mention {
    size_t begin, length;  // bytes of `text`
    bool operator==(const Mention&) const = default;
  };
  std::string text;               // "num_inference_steps is 0: give a number of steps from 1 to 10000"
  std::vector<Mention> mentions;  // in the order of the text; here {0, 19}

  bool empty() const { return text.empty(); }
};

// The text with every field name replaced by spell(name), for a front end with other names. With "--steps" for
// num_inference_steps: "--steps is 0: give a number of steps from 1 to 10000".
std::string spelled(const Message& message, const std::function<std::string(std::string_view name)>& spell);

class Error : public std::runtime_error {
 public:
  Error(ErrorCode code, std::string message) : Error(code, Message{std::move(message), {}}) {}
  Error(ErrorCode code, Message message)
      : std::runtime_error(message.text), code_(code), message_(std::make_shared<Message>(std::move(message))) {}
  ErrorCode code() const noexcept { return code_; }
  // The text of what(), with the positions of the field names.
  const Message& message() const noexcept { return *message_; }

 private:
  ErrorCode code_;
  std::shared_ptr<const Message> message_;  // shared, because copying an exception must not throw
};

}  // namespace tempera
