// The one exception type of the library. Its message is a sentence that names the thing (file, tensor, field of the
// request) and the remedy; its code says whose mistake it was, which decides the exit status of the command line: 2 for
// what the user can mend (invalid_argument, bad_file, unavailable), 1 for the rest.
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
  invalid_argument,  // the user asked for something that cannot be: fix the request
  bad_file,          // a file is missing, truncated, malformed or of an unsupported kind
  out_of_memory,     // the request does not fit
  unavailable,       // a device or library this build or machine does not have
  io,                // reading or writing failed (disk full, permission)
  cancelled,         // stopped by the caller
  internal,          // our own mistake
};

// A sentence, and where in it fields are named: those of request_fields() by Field::name, and members of other option
// structures. Values of the user (file names, prompts, numbers) are never marked, whatever they contain.
struct Message {
  struct Mention {
    size_t begin, length;  // bytes of `text`
    bool operator==(const Mention&) const = default;
  };
  std::string text;               // "num_inference_steps is 0: give a number of steps from 1 to 10000"
  std::vector<Mention> mentions;  // in the order of the text; here {0, 19}

  bool empty() const { return text.empty(); }
};

// The text with spell(name) in the place of every field's name, for a front end that calls fields otherwise: with
// "--steps" for num_inference_steps, "--steps is 0: give a number of steps from 1 to 10000".
std::string spelled(const Message& message, const std::function<std::string(std::string_view name)>& spell);

class Error : public std::runtime_error {
 public:
  Error(ErrorCode code, std::string message) : Error(code, Message{std::move(message), {}}) {}
  Error(ErrorCode code, Message message)
      : std::runtime_error(message.text), code_(code), message_(std::make_shared<Message>(std::move(message))) {}
  ErrorCode code() const noexcept { return code_; }
  // what(), and where it names fields.
  const Message& message() const noexcept { return *message_; }

 private:
  ErrorCode code_;
  std::shared_ptr<const Message> message_;  // shared, since copying an exception must not throw
};

}  // namespace tempera
