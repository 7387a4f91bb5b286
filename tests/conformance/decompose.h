// A fused node as the nodes it stands for (ir/ops.h).
#pragma once

#include <optional>

#include "conformance/problems.h"

namespace tempera {

// A graph with inputs "x<i>", weights "w<i>" for input i of the case and the output "y". Nothing when the op is not
// fused.
std::optional<Graph> decompose(const Case& c);

}  // namespace tempera
