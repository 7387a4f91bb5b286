#include "ir/builder.h"

#include <cmath>

#include "base/error.h"

namespace tempera {

namespace {

// Whether the op is linear: scaled inputs give a scaled result.
bool is_homogeneous(const Op& op) {
  const OpKind kind = kind_of(op);
  return kind == OpKind::add || kind == OpKind::cast || kind == OpKind::view || kind == OpKind::upsample2x ||
         kind == OpKind::concat || kind == OpKind::branch_rows;
}

}  // namespace

float Builder::fraction_of(Tensor x) const {
  const auto it = fractions_.find(x.id());
  return it == fractions_.end() ? 1 : it->second;
}

Tensor Builder::note_fraction(Tensor x, float fraction) {
  if (fraction != 1) fractions_[x.id()] = fraction;
  return x;
}

Tensor Builder::op(Op op, std::initializer_list<Tensor> inputs) {
  std::vector<ValueId> ids;
  const float fraction = is_homogeneous(op) ? fraction_of(*inputs.begin()) : 1;
  for (const Tensor& t : inputs) {
    ids.push_back(t.id());
    TEMPERA_ASSERT(fraction_of(t) == fraction);
  }
  return note_fraction({&graph_, graph_.add(std::move(op), std::move(ids))}, fraction);
}

Tensor Builder::input(std::string name, DType dtype, Shape shape, Rate rate) {
  return {&graph_, graph_.add_source(Input{std::move(name), rate}, {dtype, shape})};
}

Tensor Builder::weight(const Scope& name, DType dtype, Shape shape, float factor) {
  const auto [it, added] = weights_.try_emplace(name.path(), 0);
  if (added) it->second = graph_.add_source(Weight{{name.path()}, factor}, {dtype, shape});
  TEMPERA_ASSERT(graph_.desc(it->second) == (TensorDesc{dtype, shape}));
  return {&graph_, it->second};
}

void Builder::output(std::string name, Tensor value, std::string over_input) {
  graph_.add_output(std::move(name), value.id(), std::move(over_input));
}

Tensor Builder::product(Op op, Tensor x, const Scope& w, Shape weights, bool bias, bool into_stream) {
  x = cast(x, compute_);
  const float out = into_stream ? stream_fraction_ : 1;
  std::vector<ValueId> inputs = {x.id(), weight(w / "weight", compute_, weights, out / fraction_of(x)).id()};
  if (bias) inputs.push_back(weight(w / "bias", DType::f32, {weights[0]}, out).id());
  return note_fraction({&graph_, graph_.add(std::move(op), std::move(inputs))}, out);
}

Tensor Builder::conv2d(Tensor x, const Scope& w, Conv2dOptions o) {
  Conv2d conv{o.kernel, o.stride, o.pad, o.pad_after < 0 ? o.pad : o.pad_after, o.bias};
  conv.to = to(compute_, o.into_stream ? stream_ : compute_);
  return product(conv, x, w, {o.out, x.channels(), o.kernel, o.kernel}, o.bias, o.into_stream);
}

Tensor Builder::linear(Tensor x, const Scope& w, LinearOptions o) {
  const Linear linear{o.bias, Activation::none, false, to(compute_, o.into_stream ? stream_ : compute_)};
  return product(linear, x, w, {o.out, x.channels()}, o.bias, o.into_stream);
}

Tensor Builder::group_norm(Tensor x, const Scope& w, int groups, float eps) {
  const Shape c{x.channels()};
  const float fraction = fraction_of(x);
  const GroupNorm norm{groups, eps * fraction * fraction, Activation::none, false, to(x.dtype(), compute_)};
  const Tensor gamma = weight(w / "weight", DType::f32, c), beta = weight(w / "bias", DType::f32, c);
  return {&graph_, graph_.add(norm, {x.id(), gamma.id(), beta.id()})};
}

Tensor Builder::layer_norm(Tensor x, const Scope& w, float eps) {
  const Shape c{x.channels()};
  return op(LayerNorm{eps, to(x.dtype(), compute_)},
            {x, weight(w / "weight", DType::f32, c), weight(w / "bias", DType::f32, c)});
}

Tensor Builder::attention(Tensor q, Tensor k, Tensor v, int heads, bool causal) {
  const int64_t channels = q.channels() / heads;  // of one head
  const float scale = 1.0f / std::sqrt(static_cast<float>(channels));
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
