#include "ir/graph.h"

#include "base/error.h"

namespace tempera {

std::string to_string(const TensorDesc& desc) {
  return fmt::format("{}[{}]", name(desc.dtype), to_string(desc.shape));
}

ValueId Graph::add(Op op, std::vector<ValueId> inputs) {
  std::vector<TensorDesc> descs;
  descs.reserve(inputs.size());
  for (ValueId id : inputs) {
    TEMPERA_ASSERT(id < nodes_.size());
    descs.push_back(nodes_[id].output);
  }
  TensorDesc output = infer(op, descs);
  nodes_.push_back({std::move(op), std::move(inputs), output});
  return static_cast<ValueId>(nodes_.size() - 1);
}

ValueId Graph::add_source(Op op, TensorDesc desc) {
  TEMPERA_ASSERT(kind_of(op) == OpKind::input || kind_of(op) == OpKind::weight);
  nodes_.push_back({std::move(op), {}, desc});
  return static_cast<ValueId>(nodes_.size() - 1);
}

void Graph::add_output(std::string name, ValueId value, std::string over_input) {
  TEMPERA_ASSERT(value < nodes_.size());
  outputs_.push_back({std::move(name), value, std::move(over_input)});
}

std::vector<std::vector<ValueId>> Graph::users() const {
  std::vector<std::vector<ValueId>> users(nodes_.size());
  for (ValueId id = 0; id < nodes_.size(); ++id)
    for (ValueId input : nodes_[id].inputs) users[input].push_back(id);
  return users;
}

namespace {

// The rate of a node, from its op. An op that is not named here does not compile.
struct Flops {
  const Graph& graph;
  const Node& node;

  double operator()(const Conv2d&) const {
    const Shape& w = shape_of(1);
    return 2 * outputs() * static_cast<double>(w[1] * w[2] * w[3]);
  }
  double operator()(const Linear&) const { return 2 * outputs() * static_cast<double>(shape_of(1)[1]); }
  double operator()(const GegluLinear&) const { return 4 * outputs() * static_cast<double>(shape_of(1)[1]); }
  double operator()(const Attention&) const {
    const Shape& keys = shape_of(node.inputs.size() > 1 ? 1 : 0);
    return 4 * outputs() * static_cast<double>(keys[1]);
  }
  template <OneOf<Input, Weight, GeluGate, GroupNorm, LayerNorm, Activate, Add, Scale, Concat, Upsample2x, Embed,
                  GatherRow, TimestepEmbedding, View, Cast, BranchRows, ModelInput, Guidance, ThresholdSample,
                  SamplerUpdate, BlendMask, ToRgb8>
                T>
  double operator()(const T&) const {
    return 0;
  }

 private:
  const Shape& shape_of(size_t input) const { return graph.desc(node.inputs[input]).shape; }
  double outputs() const { return static_cast<double>(node.output.shape.elements()); }
};

}  // namespace

double flops(const Graph& graph, ValueId id) {
  const Node& node = graph.node(id);
  return std::visit(Flops{graph, node}, node.op);
}

double flops(const Graph& graph) {
  double total = 0;
  for (ValueId id = 0; id < graph.nodes().size(); ++id) total += flops(graph, id);
  return total;
}

}  // namespace tempera
