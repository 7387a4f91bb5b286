// Builds graphs. Values are handles, and a scope gives the names of weights.
#pragma once

#include <map>
#include <string>
#include <string_view>

#include "ir/graph.h"

namespace tempera {

// A dotted prefix of weight names: w / "conv1" is "<w>.conv1".
class Scope {
 public:
  Scope() = default;
  explicit Scope(std::string path) : path_(std::move(path)) {}
  Scope operator/(std::string_view part) const {
    return Scope(path_.empty() ? std::string(part) : path_ + "." + std::string(part));
  }
  Scope operator/(int index) const { return *this / std::to_string(index); }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

// A handle to a value of the graph under construction.
class Tensor {
 public:
  Tensor(const Graph* graph, ValueId id) : graph_(graph), id_(id) {}
  ValueId id() const { return id_; }
  const TensorDesc& desc() const { return graph_->desc(id_); }
  const Shape& shape() const { return desc().shape; }
  DType dtype() const { return desc().dtype; }
  int64_t batch() const { return shape()[0]; }
  int64_t height() const { return shape()[1]; }
  int64_t width() const { return shape()[2]; }
  int64_t channels() const { return shape()[-1]; }

 private:
  const Graph* graph_;
  ValueId id_;
};

struct Conv2dOptions {
  int64_t out = 0;
  int kernel = 3, stride = 1, pad = 1;
  int pad_after = -1;  // -1: the same as pad
  bool bias = true;
  bool into_stream = false;  // the result has the type and the fraction of the residual stream
};
struct LinearOptions {
  int64_t out = 0;
  bool bias = true;
  bool into_stream = false;  // as Conv2dOptions::into_stream
};

// Nodes are in the order of the calls. C++ does not define the order in which the arguments of one call are evaluated.
// So at most one argument may itself make nodes; otherwise compilers would number them differently.
//
// Matrices and tables have the type `compute`. Biases and norm parameters stay f32, because they are small. The
// residual stream, the sum that every block adds to, may have a wider type: products read it through a cast, norms
// round to `compute`. If its values exceed the range of the type, the stream is kept at a fraction of its size, a power
// of two. Layers that add to it scale their weights by the fraction; norms scale eps by its square.
class Builder {
 public:
  Builder(std::string graph_name, DType compute) : Builder(std::move(graph_name), compute, compute) {}
  Builder(std::string graph_name, DType compute, DType stream, float stream_fraction = 1)
      : graph_(std::move(graph_name)), compute_(compute), stream_(stream), stream_fraction_(stream_fraction) {}

  DType compute() const { return compute_; }

  Tensor input(std::string name, DType dtype, Shape shape, Rate rate = Rate::request);
  // The parameter `name` of the checkpoint, times `factor`; the same name twice is the same value.
  Tensor weight(const Scope& name, DType dtype, Shape shape, float factor = 1);
  void output(std::string name, Tensor value, std::string over_input = {});

  Tensor conv2d(Tensor x, const Scope& w, Conv2dOptions options);
  Tensor linear(Tensor x, const Scope& w, LinearOptions options);
  Tensor group_norm(Tensor x, const Scope& w, int groups, float eps);
  Tensor layer_norm(Tensor x, const Scope& w, float eps);
  Tensor attention(Tensor q, Tensor k, Tensor v, int heads, bool causal = false);  // scale 1 / sqrt(D)
  Tensor activate(Tensor x, Activation kind);
  Tensor silu(Tensor x) { return activate(x, Activation::silu); }
  Tensor gelu_gate(Tensor x) { return op(GeluGate{}, {x}); }
  Tensor add(Tensor a, Tensor b) { return op(Add{}, {a, b}); }
  Tensor scale(Tensor x, float factor, float offset = 0) { return op(Scale{{factor}, {offset}}, {x}); }
  Tensor concat(Tensor a, Tensor b) { return op(Concat{}, {a, b}); }
  // Twice the size, or one less in a direction where `height` or `width` (the target, 0: twice) is odd.
  Tensor upsample2x(Tensor x, int64_t height = 0, int64_t width = 0);
  Tensor view(Tensor x, Shape shape) { return x.shape() == shape ? x : op(View{shape}, {x}); }
  Tensor cast(Tensor x, DType to) { return x.dtype() == to ? x : op(Cast{to}, {x}); }
  Tensor op(Op op, std::initializer_list<Tensor> inputs);

  Graph finish() && { return std::move(graph_); }

 private:
  std::optional<DType> to(DType from, DType dtype) const { return from == dtype ? std::nullopt : std::optional(dtype); }
  // x w^T + bias, or the convolution. The factors of the parameters follow from the fractions of x and of the result.
  Tensor product(Op op, Tensor x, const Scope& w, Shape weights, bool bias, bool into_stream);
  float fraction_of(Tensor x) const;
  Tensor note_fraction(Tensor x, float fraction);

  Graph graph_;
  DType compute_, stream_;
  float stream_fraction_;
  std::map<ValueId, float> fractions_;  // of values that are a fraction of the network's values
  std::map<std::string, ValueId> weights_;
};

}  // namespace tempera
