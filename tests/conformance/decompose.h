// A fused node as the equivalent nodes (ir/ops.h).
#pragma once

#include <optional>

#include "conformance/problems.h"

namespace tempera {

// A graph with inputs "x<i>", weights "w<i>" for input i of the case and the output "y". Nothing if the op is not
// fused.
std::optional<Graph> decompose(const Case& c);

}  // namespace tempera
