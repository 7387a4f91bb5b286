#include "support/random_checkpoint.h"

#include <cmath>
#include <random>

namespace tempera::test {
namespace {

MadeCheckpoint::Tensors random_tensors(const Graph& graph, float (*factor)(std::string_view)) {
  MadeCheckpoint::Tensors tensors;
  for (const Node& node : graph.nodes()) {
    const auto* weight = std::get_if<Weight>(&node.op);
    if (weight == nullptr) continue;
    for (const std::string& name : weight->names) {
      CheckpointTensor tensor{DType::f32, {node.output.shape.dims().begin(), node.output.shape.dims().end()}, {}};
      std::vector<int64_t>& dims = tensor.dims;
      dims[0] /= static_cast<int64_t>(weight->names.size());  // stacked weights have the same shape
      const int64_t elements = tensor.elements();
      const float deviation = dims.size() > 1 ? 1 / std::sqrt(static_cast<float>(elements / dims[0])) : 0.1f;
      const float mean = dims.size() == 1 && name.ends_with("weight") ? 1.0f : 0.0f;
      std::seed_seq seed(name.begin(), name.end());
      std::mt19937 generator(seed);
      std::normal_distribution<float> normal(mean, deviation);
      const auto values = std::make_shared<std::vector<float>>(static_cast<size_t>(elements));
      for (float& v : *values) v = normal(generator) * (factor == nullptr ? 1 : factor(name));
      tensor.reader = std::make_shared<StoredElements>(DType::f32, std::as_bytes(std::span(*values)), values);
      tensors.emplace(name, std::move(tensor));
    }
  }
  return tensors;
}

}  // namespace

RandomCheckpoint::RandomCheckpoint(const Graph& graph, float (*factor)(std::string_view))
    : MadeCheckpoint(random_tensors(graph, factor), "a random checkpoint") {}

}  // namespace tempera::test
