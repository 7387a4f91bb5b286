// Command line options made from the library's list of fields, so that both say the same; and the other way, the
// library's messages with options in the place of fields.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "tempera/error.h"
#include "tempera/request.h"

namespace CLI {
class App;
}

namespace tempera::cli {

struct Inputs {
  Request request;
  EngineOptions engine;
  bool prompt_given = false;
};

// Adds an option for every field that `wanted` names. Each is called as on the list and as diffusers calls it
// ("--steps", "--num-inference-steps"); the prompt may also stand alone. `inputs` must outlive the parsing.
void add_fields(CLI::App& app, Inputs& inputs, const std::function<bool(const Field&)>& wanted);

// The option for a field, "--steps" for "num_inference_steps". What is on no list is an option of one command and
// called alike: "--repeats" for "repeats".
std::string flag_of(std::string_view name);

// What the error says, with options for the fields that it names: "--steps is 0: ...".
std::string message_of(const Error& error);

}  // namespace tempera::cli
