// Command line options from the library's list of fields, so that both have the same texts. In messages of the library,
// fields are replaced by options.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "tempera/error.h"
#include "tempera/request.h"
#include "tempera/settings.h"

namespace CLI {
class App;
}

namespace tempera::cli {

struct Inputs {
  Request request = {};
  EngineOptions engine = {};
  std::vector<FieldText> given = {};  // the options on the command line, in their order

  bool gives(std::string_view field) const;
};

// Adds an option for every field in `wanted`. Each has its name in the list and its name in diffusers ("--steps",
// "--num-inference-steps"). The prompt may also be given without an option. `inputs` must outlive the parsing.
void add_fields(CLI::App& app, Inputs& inputs, const std::function<bool(const Field&)>& wanted);

// The option for a field, "--steps" for "num_inference_steps". A name that is not in the list is an option of one
// command with the same name: "--repeats" for "repeats".
std::string flag_of(std::string_view name);

// The message of the error, with options for the fields in it: "--steps is 0: ...".
std::string message_of(const Error& error);

}  // namespace tempera::cli
