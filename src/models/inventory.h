// The only list of parameters of a component, with names and shapes. It is derived from the component's graphs.
#pragma once

#include <string>
#include <vector>

#include "base/shape.h"
#include "models/config.h"

namespace tempera {

struct Parameter {
  std::string name;  // diffusers' or transformers' name
  Shape shape;       // in PyTorch's layout
};

// Sorted by name, each once.
std::vector<Parameter> parameters(const ClipConfig& config);
std::vector<Parameter> parameters(const UnetConfig& config);
std::vector<Parameter> parameters(const VaeConfig& config);
std::vector<Parameter> parameters(const TinyVaeConfig& config);

}  // namespace tempera
