#include "ir/builder.h"

#include <cmath>

#include "base/error.h"

namespace tempera {

Tensor Builder::op(Op op, std::initializer_list<Tensor> inputs) {
  std::vector<ValueId> ids;
  for (const Tensor& t : inputs) ids.push_back(t.id());
  return {&graph_, graph_.add(std::move(op), std::move(ids))};
}

Tensor Builder::input(std::string name, DType dtype, Shape shape, Rate rate) {
  return {&graph_, graph_.add_source(Input{std::move(name), rate}, {dtype, shape})};
}

Tensor Builder::weight(const Scope& name, DType dtype, Shape shape) {
  const auto [it, added] = weights_.try_emplace(name.path(), 0);
  if (added) it->second = graph_.add_source(Weight{{name.path()}}, {dtype, shape});
  TEMPERA_ASSERT(graph_.desc(it->second) == (TensorDesc{dtype, shape}));
  return {&graph_, it->second};
}

void Builder::output(std::string name, Tensor value, std::string over_input) {
  graph_.add_output(std::move(name), value.id(), std::move(over_input));
}

Tensor Builder::conv2d(Tensor x, const Scope& w, Conv2dOptions o) {
  Conv2d conv{o.kernel, o.stride, o.pad, o.pad_after < 0 ? o.pad : o.pad_after, o.bias};
  conv.to = to(compute_, o.residual ? residual_ : compute_);
  x = cast(x, compute_);
  const Tensor weights = weight(w / "weight", compute_, {o.out, x.channels(), o.kernel, o.kernel});
  if (!o.bias) return op(conv, {x, weights});
  return op(conv, {x, weights, weight(w / "bias", DType::f32, {o.out})});
}

Tensor Builder::linear(Tensor x, const Scope& w, LinearOptions o) {
  const Linear linear{o.bias, Activation::none, false, to(compute_, o.residual ? residual_ : compute_)};
  x = cast(x, compute_);
  const Tensor weights = weight(w / "weight", compute_, {o.out, x.channels()});
  if (!o.bias) return op(linear, {x, weights});
  return op(linear, {x, weights, weight(w / "bias", DType::f32, {o.out})});
}

Tensor Builder::group_norm(Tensor x, const Scope& w, int groups, float eps) {
  const Shape c{x.channels()};
  const GroupNorm norm{groups, eps, Activation::none, false, to(x.dtype(), compute_)};
  return op(norm, {x, weight(w / "weight", DType::f32, c), weight(w / "bias", DType::f32, c)});
}

Tensor Builder::layer_norm(Tensor x, const Scope& w, float eps) {
  const Shape c{x.channels()};
  return op(LayerNorm{eps, to(x.dtype(), compute_)},
            {x, weight(w / "weight", DType::f32, c), weight(w / "bias", DType::f32, c)});
}

Tensor Builder::attention(Tensor q, Tensor k, Tensor v, int heads, bool causal) {
  const float scale = 1.0f / std::sqrt(static_cast<float>(q.channels() / heads));
  return op(Attention{heads, scale, causal}, {q, k, v});
}

Tensor Builder::upsample2x(Tensor x, int64_t height, int64_t width) {
  const Tensor out = op(Upsample2x{height % 2 != 0, width % 2 != 0}, {x});
  TEMPERA_ASSERT((height == 0 || out.height() == height) && (width == 0 || out.width() == width));
  return out;
}

Tensor Builder::activate(Tensor x, Activation kind) {
  return kind == Activation::none ? x : op(Activate{kind}, {x});
}

}  // namespace tempera
