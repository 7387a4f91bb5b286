// Weights for any graph, drawn from a fixed generator: norms near identity, matrices with unit gain.
#pragma once

#include "ir/graph.h"
#include "weights/made.h"

namespace tempera::test {

class RandomCheckpoint final : public MadeCheckpoint {
 public:
  // Has every Weight of the graph in f32, also those that passes have stacked, by their own names. The values depend
  // only on the name, so that a graph and its optimised form have the same weights. `factor` gives a factor for each
  // name.
  explicit RandomCheckpoint(const Graph& graph, float (*factor)(std::string_view name) = nullptr);
};

}  // namespace tempera::test
