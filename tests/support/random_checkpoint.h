// Weights for any graph, drawn from a fixed generator: norms near identity, matrices with unit gain.
#pragma once

#include <map>

#include "ir/graph.h"
#include "weights/checkpoint.h"

namespace tempera::test {

class RandomCheckpoint final : public Checkpoint {
 public:
  // Holds every Weight of the graph, also those that passes have stacked, under their own names; the values depend on
  // the name alone, so that a graph and its optimised form read the same.
  explicit RandomCheckpoint(const Graph& graph);

  std::vector<std::string> names() const override;
  std::optional<TensorView> find(std::string_view name) const override;
  void release(std::span<const std::byte>) const noexcept override {}
  std::string origin(std::string_view name) const override;

 private:
  struct Tensor {
    std::vector<int64_t> dims;
    std::vector<float> values;
  };
  std::map<std::string, Tensor, std::less<>> tensors_;
};

}  // namespace tempera::test
