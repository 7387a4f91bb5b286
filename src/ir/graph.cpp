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

double flops(const Graph& graph, ValueId id) {
  const Node& node = graph.node(id);
  const auto elements = [](const TensorDesc& d) { return static_cast<double>(d.shape.elements()); };
  switch (kind_of(node.op)) {
    case OpKind::conv2d: {
      const Shape& w = graph.desc(node.inputs[1]).shape;
      return 2 * elements(node.output) * static_cast<double>(w[1] * w[2] * w[3]);
    }
    case OpKind::linear:
      return 2 * elements(node.output) * static_cast<double>(graph.desc(node.inputs[1]).shape[1]);
    case OpKind::geglu_linear:
      return 4 * elements(node.output) * static_cast<double>(graph.desc(node.inputs[1]).shape[1]);
    case OpKind::attention: {
      const Shape& keys = graph.desc(node.inputs.size() > 1 ? node.inputs[1] : node.inputs[0]).shape;
      return 4 * elements(node.output) * static_cast<double>(keys[1]);
    }
    default:
      return 0;
  }
}

double flops(const Graph& graph) {
  double total = 0;
  for (ValueId id = 0; id < graph.nodes().size(); ++id) total += flops(graph, id);
  return total;
}

}  // namespace tempera
