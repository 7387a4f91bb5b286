// A graph of values with concrete shapes: the only description of a model. Nodes are in execution order by
// construction; a value's id is the id of the node that produces it.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/dtype.h"
#include "base/shape.h"
#include "ir/ops.h"

namespace tempera {

struct TensorDesc {
  DType dtype = DType::f32;
  Shape shape;
  size_t bytes() const { return static_cast<size_t>(shape.elements()) * size_of(dtype); }
  bool operator==(const TensorDesc&) const = default;
};

// "bf16[2x64x64x320]"
std::string to_string(const TensorDesc& desc);

using ValueId = uint32_t;

struct Node {
  Op op;
  std::vector<ValueId> inputs;
  TensorDesc output;
};

struct Output {
  std::string name;
  ValueId value;
  // If set, the output is written over the input of this name (a state that is updated in place).
  std::string over_input;
};

class Graph {
 public:
  explicit Graph(std::string name) : name_(std::move(name)) {}

  // Appends a node whose inputs exist. infer() gives its shape. Throws Error(internal) with the op and the shapes when
  // they do not fit.
  ValueId add(Op op, std::vector<ValueId> inputs);
  // Appends an Input or Weight node with this shape.
  ValueId add_source(Op op, TensorDesc desc);
  void add_output(std::string name, ValueId value, std::string over_input = {});

  const std::string& name() const { return name_; }
  std::span<const Node> nodes() const { return nodes_; }
  const Node& node(ValueId id) const { return nodes_[id]; }
  const TensorDesc& desc(ValueId id) const { return nodes_[id].output; }
  std::span<const Output> outputs() const { return outputs_; }

  // The ids of the nodes that read each value, in order.
  std::vector<std::vector<ValueId>> users() const;

 private:
  std::string name_;
  std::vector<Node> nodes_;
  std::vector<Output> outputs_;
};

// The output of `op` on these inputs: the shape rule of every op. Throws Error(internal) when they do not fit.
TensorDesc infer(const Op& op, std::span<const TensorDesc> inputs);

// Floating-point operations of a node, with multiply and add counted separately. Only matrix products, convolutions and
// attention count (as in "6.76 TFLOP per UNet forward").
double flops(const Graph& graph, ValueId id);
double flops(const Graph& graph);

// One line per node: "%12 = conv2d{...}(%10, %11) bf16[...]". Stable: small graphs are golden files.
std::string dump(const Graph& graph);
// The op with its parameters: "conv2d{3x3/1 bias}".
std::string to_string(const Op& op);

}  // namespace tempera
