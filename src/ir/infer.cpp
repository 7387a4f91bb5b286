// The shape rule of every op, one overload each; a missing one is a compile error.
#include <utility>

#include "base/error.h"
#include "ir/graph.h"

namespace tempera {
namespace {

using Descs = std::span<const TensorDesc>;

[[noreturn]] void mismatch(const Op& op, Descs inputs, std::string_view why) {
  std::string list;
  for (const TensorDesc& d : inputs) list += (list.empty() ? "" : ", ") + to_string(d);
  fail(ErrorCode::internal, "internal error: {} does not fit ({}): {}", to_string(op), list, why);
}

// Checks for one op, so that a rule reads as a list of conditions.
struct Check {
  const Op& op;
  Descs inputs;
  void operator()(bool holds, std::string_view why) const {
    if (!holds) mismatch(op, inputs, why);
  }
};

Shape with_last(const Shape& shape, int64_t last) {
  Shape out = shape;
  out.set(-1, last);
  return out;
}

bool broadcasts(const Shape& from, const Shape& to) {
  if (from.rank() != to.rank()) return false;
  for (int i = 0; i < to.rank(); ++i)
    if (from[i] != to[i] && from[i] != 1) return false;
  return true;
}

size_t epilogue_inputs(bool bias, bool residual) {
  return 2u + (bias ? 1u : 0u) + (residual ? 1u : 0u);
}

// The shape of x with the channels of the tail, if there is one.
template <class Op>
Shape with_tail(const Op& op, Descs in, const Check& check) {
  const Shape& x = in[0].shape;
  check(x.rank() == 4, "an image");
  if (!op.tail) return x;
  const TensorDesc& tail = in[tail_input(op)];
  check(tail.dtype == in[0].dtype && tail.shape.rank() == 4 && with_last(tail.shape, x[3]) == x, "tail");
  return with_last(x, x[3] + tail.shape[3]);
}

TensorDesc rule(const Input&, Descs in, const Check& check) {
  check(false, "sources are given their shape");
  return in[0];
}
TensorDesc rule(const Weight&, Descs in, const Check& check) {
  check(false, "sources are given their shape");
  return in[0];
}
TensorDesc rule(const Conv2d& op, Descs in, const Check& check) {
  check(in.size() == epilogue_inputs(op.bias, op.residual) + (op.tail ? 1u : 0u), "number of inputs");
  check(!op.tail || (is_pointwise(op) && op.activation == Activation::none), "a tail of more than one pixel's sum");
  const Shape x = with_tail(op, in, check), &w = in[1].shape;
  check(w.rank() == 4 && w[1] == x[3] && w[2] == op.kernel && w[3] == op.kernel, "weight");
  check(!op.bias || in[2].shape == Shape{w[0]}, "bias");
  check(op.stride > 0, "stride");
  const int padding = op.pad_before + op.pad_after;
  check(x[1] + padding >= op.kernel && x[2] + padding >= op.kernel, "picture smaller than the kernel");
  const auto extent = [&](int64_t n) { return (n + padding - op.kernel) / op.stride + 1; };
  const Shape out{x[0], extent(x[1]), extent(x[2]), w[0]};
  const TensorDesc result{op.to.value_or(in[0].dtype), out};
  check(!op.residual || in.back() == result, "residual");
  return result;
}
TensorDesc rule(const Linear& op, Descs in, const Check& check) {
  check(in.size() == epilogue_inputs(op.bias, op.residual), "number of inputs");
  const Shape &x = in[0].shape, &w = in[1].shape;
  check(x.rank() >= 1 && w.rank() == 2 && w[1] == x[-1], "weight");
  check(!op.bias || in[2].shape == Shape{w[0]}, "bias");
  const Shape out = with_last(x, w[0]);
  const TensorDesc result{op.to.value_or(in[0].dtype), out};
  check(!op.residual || in.back() == result, "residual");
  return result;
}
TensorDesc rule(const GegluLinear& op, Descs in, const Check& check) {
  check(in.size() == epilogue_inputs(op.bias, false), "number of inputs");
  const Shape &x = in[0].shape, &w = in[1].shape;
  check(x.rank() >= 1 && w.rank() == 2 && w[1] == x[-1] && w[0] % 2 == 0, "weight");
  check(!op.bias || in[2].shape == Shape{w[0]}, "bias");
  return {in[0].dtype, with_last(x, w[0] / 2)};
}
TensorDesc rule(const GeluGate&, Descs in, const Check& check) {
  check(in.size() == 1 && in[0].shape.rank() >= 1 && in[0].shape[-1] % 2 == 0, "an even number of channels");
  return {in[0].dtype, with_last(in[0].shape, in[0].shape[-1] / 2)};
}
TensorDesc rule(const GroupNorm& op, Descs in, const Check& check) {
  check(in.size() == 3u + (op.shift ? 1u : 0u) + (op.tail ? 1u : 0u), "number of inputs");
  const Shape x = with_tail(op, in, check);
  check(op.groups > 0 && x[3] % op.groups == 0, "groups");
  check(in[1].shape == Shape{x[3]} && in[2].shape == Shape{x[3]}, "gamma and beta");
  check(!op.shift || in[3].shape == Shape({x[0], 1, 1, x[3]}), "shift");
  return {op.to.value_or(in[0].dtype), x};
}
TensorDesc rule(const LayerNorm& op, Descs in, const Check& check) {
  check(in.size() == 3 && in[0].shape.rank() >= 1, "number of inputs");
  const Shape c{in[0].shape[-1]};
  check(in[1].shape == c && in[2].shape == c, "gamma and beta");
  return {op.to.value_or(in[0].dtype), in[0].shape};
}
TensorDesc rule(const Attention& op, Descs in, const Check& check) {
  using Packing = Attention::Packing;
  const Shape& q = in[0].shape;
  check(q.rank() == 3, "tokens are (N, T, C)");
  int64_t channels = q[2];
  if (op.packing == Packing::separate) {
    check(in.size() == 3 && in[1].shape == in[2].shape, "k and v");
    check(in[1].shape.rank() == 3 && in[1].shape[0] == q[0] && in[1].shape[2] == channels, "k");
  } else if (op.packing == Packing::qkv) {
    check(in.size() == 1 && channels % 3 == 0, "q, k and v in one");
    channels /= 3;
  } else {
    check(in.size() == 2 && in[1].shape.rank() == 3 && in[1].shape[0] == q[0] && in[1].shape[2] == 2 * channels,
          "k and v in one");
  }
  for (const TensorDesc& desc : in) check(desc.dtype == in[0].dtype, "one dtype");
  check(op.heads > 0 && channels % op.heads == 0, "heads divide the channels");
  return {in[0].dtype, with_last(q, channels)};
}
TensorDesc rule(const Activate&, Descs in, const Check& check) {
  check(in.size() == 1, "number of inputs");
  return in[0];
}
TensorDesc rule(const Add&, Descs in, const Check& check) {
  check(in.size() == 2 && broadcasts(in[1].shape, in[0].shape), "the second operand broadcasts to the first");
  return in[0];
}
TensorDesc rule(const Scale& op, Descs in, const Check& check) {
  check(in.size() == 1, "number of inputs");
  check(op.factor.size() == op.offset.size(), "as many factors as offsets");
  const Shape& x = in[0].shape;
  check(op.factor.size() == 1 || (x.rank() > 0 && std::cmp_equal(op.factor.size(), x[-1])), "one factor or one each");
  return in[0];
}
TensorDesc rule(const Concat&, Descs in, const Check& check) {
  check(in.size() == 2 && in[0].dtype == in[1].dtype, "two inputs of one dtype");
  check(in[0].shape.rank() >= 1 && in[1].shape.rank() == in[0].shape.rank(), "channels");
  check(with_last(in[0].shape, 1) == with_last(in[1].shape, 1), "all but the channels equal");
  return {in[0].dtype, with_last(in[0].shape, in[0].shape[-1] + in[1].shape[-1])};
}
TensorDesc rule(const Upsample2x& op, Descs in, const Check& check) {
  check(in.size() == 1 && in[0].shape.rank() == 4, "an image");
  const Shape& x = in[0].shape;
  return {in[0].dtype, Shape{x[0], 2 * x[1] - (op.odd_height ? 1 : 0), 2 * x[2] - (op.odd_width ? 1 : 0), x[3]}};
}
TensorDesc rule(const Embed& op, Descs in, const Check& check) {
  check(in.size() == (op.extra ? 3 : 2) && in[0].dtype == DType::i32 && in[0].shape.rank() == 2 &&
            in[1].shape.rank() == 2,
        "ids and table");
  check(!op.extra || (in[2].dtype == in[1].dtype && in[2].shape.rank() == 2 && in[2].shape[1] == in[1].shape[1]),
        "extra rows like those of the table");
  return {in[1].dtype, Shape{in[0].shape[0], in[0].shape[1], in[1].shape[1]}};
}
TensorDesc rule(const GatherRow&, Descs in, const Check& check) {
  check(in.size() == 2 && in[0].shape.rank() == 3 && in[1].dtype == DType::i32, "tokens and indices");
  check(in[1].shape == Shape{in[0].shape[0]}, "one index per row of the batch");
  return {in[0].dtype, Shape{in[0].shape[0], in[0].shape[2]}};
}
TensorDesc rule(const TimestepEmbedding& op, Descs in, const Check& check) {
  check(in.size() == 1 && in[0].dtype == DType::f32 && in[0].shape.rank() == 2, "numbers (N, K)");
  check(op.dim > 0 && op.dim % 2 == 0, "an even dimension");
  return {DType::f32, Shape{in[0].shape[0], in[0].shape[1] * op.dim}};
}
TensorDesc rule(const View& op, Descs in, const Check& check) {
  check(in.size() == 1 && in[0].shape.elements() == op.shape.elements(), "as many elements");
  return {in[0].dtype, op.shape};
}
TensorDesc rule(const Cast& op, Descs in, const Check& check) {
  check(in.size() == 1, "number of inputs");
  return {op.to, in[0].shape};
}
Shape with_rows(const Shape& shape, int64_t rows) {
  Shape out = shape;
  out.set(0, rows);
  return out;
}
TensorDesc rule(const BranchRows& op, Descs in, const Check& check) {
  check(in.size() == 1 && in[0].shape.rank() >= 1, "one row a picture");
  check(op.guided >= 0 && op.guided <= in[0].shape[0], "guided pictures");
  return {in[0].dtype, with_rows(in[0].shape, op.guided + in[0].shape[0])};
}
// The shape of one slot of a state, which is the shape of the pictures.
Shape one_slot(const TensorDesc& state, int slots, const Check& check) {
  check(state.dtype == DType::f32 && state.shape.rank() == 4, "state");
  check(slots > 0 && state.shape[1] % slots == 0, "slots");
  Shape one = state.shape;
  one.set(1, one[1] / slots);
  return one;
}
// One row of `step` for each picture, for this number of slots.
bool is_step(const TensorDesc& step, int64_t pictures, int slots) {
  return step == TensorDesc{DType::f32, Shape{pictures, StepLayout::length(slots)}};
}
TensorDesc rule(const ModelInput& op, Descs in, const Check& check) {
  check(in.size() == 2, "state and step");
  const Shape one = one_slot(in[0], op.slots, check);
  check(is_step(in[1], one[0], op.slots), "step");
  check(op.guided >= 0 && op.guided <= one[0], "guided pictures");
  return {op.to, with_rows(one, op.guided + one[0])};
}
TensorDesc rule(const Guidance& op, Descs in, const Check& check) {
  check(in.size() == 2 && in[0].shape.rank() == 4, "prediction and step");
  const int64_t pictures = in[0].shape[0] - op.guided;
  check(op.guided > 0 && op.guided <= pictures, "guided pictures");
  const TensorDesc& step = in[1];
  check(step.dtype == DType::f32 && step.shape.rank() == 2 && step.shape[0] == pictures &&
            step.shape[1] >= StepLayout::kUpdate,
        "step");
  return {DType::f32, with_rows(in[0].shape, pictures)};
}
TensorDesc rule(const ThresholdSample& op, Descs in, const Check& check) {
  check(in.size() == 3, "state, prediction, step");
  check(op.slots > 1, "a slot for the picture");
  const Shape one = one_slot(in[0], op.slots, check);
  check(in[1].shape == one, "prediction is one slot");
  check(is_step(in[2], one[0], op.slots), "step");
  return in[0];
}
TensorDesc rule(const SamplerUpdate& op, Descs in, const Check& check) {
  check(in.size() == 4, "state, prediction, noise, step");
  const Shape one = one_slot(in[0], op.slots, check);
  check(in[1].shape == one && in[2] == TensorDesc{DType::f32, one}, "prediction and noise are one slot");
  check(is_step(in[3], one[0], op.slots), "step");
  return in[0];
}
TensorDesc rule(const BlendMask& op, Descs in, const Check& check) {
  check(in.size() == 5, "state, original, noise, mask, step");
  const Shape one = one_slot(in[0], op.slots, check);
  check(in[1] == TensorDesc{DType::f32, one} && in[2] == in[1], "original and noise are one slot");
  check(in[3] == TensorDesc{DType::f32, with_last(one, 1)}, "mask is one channel of a slot");
  check(is_step(in[4], one[0], op.slots), "step");
  return in[0];
}
TensorDesc rule(const ToRgb8&, Descs in, const Check& check) {
  check(in.size() == 1 && in[0].shape.rank() == 4, "an image");
  return {DType::u8, in[0].shape};
}

}  // namespace

TensorDesc infer(const Op& op, std::span<const TensorDesc> inputs) {
  const Check check{op, inputs};
  check(!inputs.empty(), "no inputs");
  return std::visit([&](const auto& o) { return rule(o, inputs, check); }, op);
}

}  // namespace tempera
