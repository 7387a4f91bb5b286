#include "support/random_checkpoint.h"

#include <cmath>
#include <random>

namespace tempera::test {

RandomCheckpoint::RandomCheckpoint(const Graph& graph) {
  for (const Node& node : graph.nodes()) {
    const auto* weight = std::get_if<Weight>(&node.op);
    if (weight == nullptr) continue;
    for (const std::string& name : weight->names) {
      std::vector<int64_t> dims(node.output.shape.dims().begin(), node.output.shape.dims().end());
      dims[0] /= static_cast<int64_t>(weight->names.size());  // stacked weights are of one shape
      int64_t elements = 1;
      for (int64_t d : dims) elements *= d;
      const float deviation = dims.size() > 1 ? 1 / std::sqrt(static_cast<float>(elements / dims[0])) : 0.1f;
      const float mean = dims.size() == 1 && name.ends_with("weight") ? 1.0f : 0.0f;
      std::seed_seq seed(name.begin(), name.end());
      std::mt19937 generator(seed);
      std::normal_distribution<float> normal(mean, deviation);
      Tensor tensor{dims, std::vector<float>(static_cast<size_t>(elements))};
      for (float& v : tensor.values) v = normal(generator);
      tensors_.emplace(name, std::move(tensor));
    }
  }
}

std::vector<std::string> RandomCheckpoint::names() const {
  std::vector<std::string> list;
  for (const auto& [name, tensor] : tensors_) list.push_back(name);
  return list;
}

std::optional<TensorView> RandomCheckpoint::find(std::string_view name) const {
  const auto it = tensors_.find(name);
  if (it == tensors_.end()) return std::nullopt;
  return TensorView{DType::f32, it->second.dims, std::as_bytes(std::span(it->second.values))};
}

std::string RandomCheckpoint::origin(std::string_view name) const {
  return "'" + std::string(name) + "' of a random checkpoint";
}

}  // namespace tempera::test
