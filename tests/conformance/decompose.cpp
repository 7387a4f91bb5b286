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
  // The op's inputs with the tail joined to x.
  template <class Op>
  std::vector<ValueId> joined(const Op& op) const {
    std::vector<ValueId> inputs = in;
    if (!op.tail) return inputs;
    const auto tail = inputs.begin() + static_cast<std::ptrdiff_t>(tail_input(op));
    inputs[0] = graph.add(Concat{}, {in[0], *tail});
    inputs.erase(tail);
    return inputs;
  }
  // The product itself, then the operations fused to it.
  template <class Op>
  std::optional<ValueId> product(Op op, std::vector<ValueId> inputs) const {
    if (op.activation == Activation::none && !op.residual && inputs == in) return std::nullopt;
    const Op fused = op;
    op.activation = Activation::none;
    op.residual = false;
    if (fused.residual) inputs.pop_back();
    const ValueId value = act(graph.add(op, inputs), fused.activation);
    return fused.residual ? graph.add(Add{}, {value, in.back()}) : value;
  }

  std::optional<ValueId> operator()(Conv2d op) const {
    std::vector<ValueId> inputs = joined(op);
    op.tail = false;
    return product(op, std::move(inputs));
  }
  std::optional<ValueId> operator()(const Linear& op) const { return product(op, in); }
  std::optional<ValueId> operator()(const GegluLinear& op) const {
    return graph.add(GeluGate{}, {graph.add(Linear{op.bias}, in)});
  }
  std::optional<ValueId> operator()(GroupNorm op) const {
    if (op.activation == Activation::none && !op.shift && !op.tail) return std::nullopt;
    const ValueId whole = joined(op)[0], x = op.shift ? graph.add(Add{}, {whole, in[3]}) : whole;
    const Activation activation = std::exchange(op.activation, Activation::none);
    op.shift = op.tail = false;
    return act(graph.add(op, {x, in[1], in[2]}), activation);
  }
  // Ops that are not fused.
  template <OneOf<Input, Weight, GeluGate, LayerNorm, Attention, Activate, Add, Scale, Concat, Upsample2x, Embed,
                  GatherRow, TimestepEmbedding, View, Cast, BranchRows, ModelInput, Guidance, ThresholdSample,
                  SamplerUpdate, BlendMask, ToRgb8>
                T>
  std::optional<ValueId> operator()(const T&) const {
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
