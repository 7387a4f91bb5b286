// The sets of parts that make a formula, and the checks of one tensor of an adapter.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "adapters/layer.h"

namespace tempera {

struct AdapterFormula {
  std::string_view kind;  // as Change::kind(): "LoRA", "LoCon", "DoRA", ...
  int64_t rank = 0;       // 0 for formulas without one
};

// Throws Error(bad_file) that names the tensor: an empty dimension, a number of dimensions or an element type that the
// part cannot have, alpha or scale that is not a finite number. `origin`: of the tensor.
void check_adapter_part(std::string_view part, const CheckpointTensor& tensor, std::string_view origin);

// The formula of the layer. Nothing if its parts are only numbers (alpha, scale), which change nothing. Throws
// Error(bad_file) that names the layer's origin and the part: a part is missing, or parts of two formulas. Shapes are
// not compared with each other.
std::optional<AdapterFormula> adapter_formula(const AdapterLayer& layer);

}  // namespace tempera
