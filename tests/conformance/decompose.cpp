#include "conformance/decompose.h"

#include <utility>

namespace tempera {
namespace {

// Appends the parts of each fused op to a graph; `in` are the values of the op's inputs.
struct Parts {
  Graph& graph;
  const std::vector<ValueId>& in;

  ValueId act(ValueId value, Activation kind) const {
    return kind == Activation::none ? value : graph.add(Activate{kind}, {value});
  }
  // The product itself, then what was fused to it.
  template <class Op>
  std::optional<ValueId> product(Op op) const {
    if (op.activation == Activation::none && !op.residual) return std::nullopt;
    const Op fused = op;
    op.activation = Activation::none;
    op.residual = false;
    std::vector<ValueId> inputs = in;
    if (fused.residual) inputs.pop_back();
    const ValueId value = act(graph.add(op, inputs), fused.activation);
    return fused.residual ? graph.add(Add{}, {value, in.back()}) : value;
  }

  std::optional<ValueId> operator()(const Conv2d& op) const { return product(op); }
  std::optional<ValueId> operator()(const Linear& op) const { return product(op); }
  std::optional<ValueId> operator()(const GegluLinear& op) const {
    return graph.add(GeluGate{}, {graph.add(Linear{op.bias}, in)});
  }
  std::optional<ValueId> operator()(GroupNorm op) const {
    if (op.activation == Activation::none && !op.shift) return std::nullopt;
    const ValueId x = op.shift ? graph.add(Add{}, {in[0], in[3]}) : in[0];
    const Activation activation = std::exchange(op.activation, Activation::none);
    op.shift = false;
    return act(graph.add(op, {x, in[1], in[2]}), activation);
  }
  template <class Op>
  std::optional<ValueId> operator()(const Op&) const {
    return std::nullopt;
  }
};

}  // namespace

std::optional<Graph> decompose(const Case& c) {
  Graph graph("decomposed");
  std::vector<ValueId> in;
  for (size_t i = 0; i < c.fills.size(); ++i) {
    const std::string index = std::to_string(i);
    in.push_back(c.fills[i].weight ? graph.add_source(Weight{{"w" + index}}, c.input(i))
                                   : graph.add_source(Input{"x" + index}, c.input(i)));
  }
  const auto result = std::visit(Parts{graph, in}, c.problem.op);
  if (!result) return std::nullopt;
  graph.add_output("y", *result);
  return graph;
}

}  // namespace tempera
