// Command line options made from the library's list of fields, so that both say the same.
#pragma once

#include <functional>

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

}  // namespace tempera::cli
