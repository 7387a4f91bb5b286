// Weights for any graph, drawn from a fixed generator: norms near identity, matrices with unit gain.
#pragma once

#include "ir/graph.h"
#include "weights/made.h"

namespace tempera::test {

class RandomCheckpoint final : public MadeCheckpoint {
 public:
  // Holds every Weight of the graph in f32, also those that passes have stacked, under their own names. The values
  // depend on the name alone, so that a graph and its optimised form read the same, times what `factor` gives for it.
  explicit RandomCheckpoint(const Graph& graph, float (*factor)(std::string_view name) = nullptr);
};

}  // namespace tempera::test
