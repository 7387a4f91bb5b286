// The shape rule of every op: its result, and the refusal of inputs that do not fit, with the op and the shapes in the
// message.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "ir/graph.h"

namespace tempera {
namespace {
using testing::HasSubstr;

using Descs = std::vector<TensorDesc>;

TensorDesc f32(Shape shape) {
  return {DType::f32, shape};
}
TensorDesc bf16(Shape shape) {
  return {DType::bf16, shape};
}
TensorDesc i32(Shape shape) {
  return {DType::i32, shape};
}

void expect_mismatch(const Op& op, const Descs& inputs) {
  std::string list;
  for (const TensorDesc& d : inputs) list += to_string(d) + " ";
  try {
    infer(op, inputs);
    ADD_FAILURE() << to_string(op) << " takes " << list;
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::internal);
    EXPECT_THAT(error.what(), HasSubstr(to_string(op)));
    for (const TensorDesc& d : inputs) EXPECT_THAT(error.what(), HasSubstr(to_string(d)));
  }
}

const Descs kLinear{bf16({2, 77, 8}), bf16({6, 8}), f32({6}), bf16({2, 77, 6})};

Descs replaced(Descs descs, size_t at, TensorDesc desc) {
  descs[at] = desc;
  return descs;
}
Descs first(const Descs& descs, size_t count) {
  return {descs.begin(), descs.begin() + static_cast<int64_t>(count)};
}

TEST(Infer, Linear) {
  const Linear full{true, Activation::silu, true}, biased{true}, plain{false};
  EXPECT_EQ(infer(full, kLinear), bf16({2, 77, 6}));
  EXPECT_EQ(infer(biased, first(kLinear, 3)), bf16({2, 77, 6}));
  EXPECT_EQ(infer(plain, first(kLinear, 2)), bf16({2, 77, 6}));
  EXPECT_EQ(infer(plain, Descs{f32({8}), f32({6, 8})}), f32({6}));
  expect_mismatch(plain, kLinear);
  expect_mismatch(full, first(kLinear, 3));
  expect_mismatch(full, replaced(kLinear, 1, bf16({8, 6})));
  expect_mismatch(full, replaced(kLinear, 1, bf16({6, 8, 1, 1})));
  expect_mismatch(full, replaced(kLinear, 2, f32({1, 6})));
  expect_mismatch(full, replaced(kLinear, 3, bf16({2, 77, 8})));
  expect_mismatch(full, replaced(kLinear, 3, f32({2, 77, 6})));
  expect_mismatch(plain, {f32({}), f32({6, 8})});
}

TEST(Infer, GegluLinear) {
  EXPECT_EQ(infer(GegluLinear{true}, first(kLinear, 3)), bf16({2, 77, 3}));
  expect_mismatch(GegluLinear{true}, first(kLinear, 2));
  expect_mismatch(GegluLinear{false}, {f32({4, 8}), f32({7, 8})});
  expect_mismatch(GegluLinear{true}, {f32({4, 8}), f32({6, 8}), f32({3})});
}

TEST(Infer, Conv2d) {
  const Descs in{bf16({2, 9, 8, 4}), bf16({6, 4, 3, 3}), f32({6}), bf16({2, 9, 8, 6})};
  const Conv2d full{3, 1, 1, 1, true, Activation::none, true};
  EXPECT_EQ(infer(full, in), bf16({2, 9, 8, 6}));
  EXPECT_EQ(infer(Conv2d{3, 2, 1, 1}, first(in, 3)), bf16({2, 5, 4, 6}));
  EXPECT_EQ(infer(Conv2d{3, 2, 0, 1}, first(in, 3)), bf16({2, 4, 4, 6}));
  EXPECT_EQ(infer(Conv2d{3, 1, 0, 0, false}, first(in, 2)), bf16({2, 7, 6, 6}));
  expect_mismatch(full, first(in, 3));
  expect_mismatch(full, replaced(in, 0, bf16({9, 8, 4})));
  expect_mismatch(full, replaced(in, 0, bf16({2, 9, 8, 5})));
  expect_mismatch(full, replaced(in, 1, bf16({6, 4, 1, 1})));
  expect_mismatch(full, replaced(in, 2, f32({4})));
  expect_mismatch(full, replaced(in, 3, bf16({2, 8, 8, 6})));
}

TEST(Infer, Conv2dWithATail) {
  const Descs in{bf16({2, 9, 8, 4}), bf16({6, 7, 1, 1}), f32({6}), bf16({2, 9, 8, 3}), bf16({2, 9, 8, 6})};
  Conv2d op{1, 1, 0, 0, true, Activation::none, true};
  op.tail = true;
  EXPECT_EQ(infer(op, in), in[4]);
  expect_mismatch(op, first(in, 4));
  expect_mismatch(op, replaced(in, 0, bf16({9, 8, 4})));
  expect_mismatch(op, replaced(in, 1, bf16({6, 4, 1, 1})));
  expect_mismatch(op, replaced(in, 3, bf16({2, 9, 8, 2})));
  expect_mismatch(op, replaced(in, 3, bf16({2, 8, 9, 3})));
  expect_mismatch(op, replaced(in, 3, bf16({8, 9, 3})));
  expect_mismatch(op, replaced(in, 3, f32({2, 9, 8, 3})));
  Conv2d unbiased{1, 1, 0, 0, false};
  unbiased.tail = true;
  EXPECT_EQ(infer(unbiased, Descs{in[0], in[1], in[3]}), in[4]);
  Conv2d activated = op, wide{3, 1, 1, 1, false};
  activated.activation = Activation::silu;
  expect_mismatch(activated, in);
  wide.tail = true;
  expect_mismatch(wide, {in[0], bf16({6, 7, 3, 3}), in[3]});
}

TEST(Infer, Conv2dOfAPictureSmallerThanTheKernel) {
  const Descs in{f32({1, 2, 2, 1}), f32({1, 1, 3, 3})};
  EXPECT_EQ(infer(Conv2d{3, 2, 0, 1, false}, in), f32({1, 1, 1, 1}));
  expect_mismatch(Conv2d{3, 1, 0, 0, false}, in);
  expect_mismatch(Conv2d{3, 2, 0, 0, false}, in);
  expect_mismatch(Conv2d{3, 0, 1, 1, false}, in);
}

TEST(Infer, Norms) {
  const Descs in{bf16({2, 4, 4, 6}), f32({6}), f32({6}), bf16({2, 1, 1, 6})};
  const GroupNorm shifted{3, 1e-5f, Activation::silu, true};
  EXPECT_EQ(infer(shifted, in), in[0]);
  EXPECT_EQ(infer(GroupNorm{2}, first(in, 3)), in[0]);
  expect_mismatch(GroupNorm{2}, in);
  expect_mismatch(GroupNorm{4}, first(in, 3));
  expect_mismatch(GroupNorm{0}, first(in, 3));
  expect_mismatch(shifted, replaced(in, 3, bf16({1, 1, 1, 6})));
  expect_mismatch(shifted, replaced(in, 2, f32({3})));
  EXPECT_EQ(infer(LayerNorm{}, Descs{bf16({2, 7, 6}), f32({6}), f32({6})}), bf16({2, 7, 6}));
  expect_mismatch(LayerNorm{}, {bf16({2, 7, 6}), f32({7}), f32({7})});
  expect_mismatch(LayerNorm{}, {f32({}), f32({1}), f32({1})});
}

TEST(Infer, GroupNormWithATail) {
  const Descs in{bf16({2, 4, 4, 4}), f32({6}), f32({6}), bf16({2, 1, 1, 6}), bf16({2, 4, 4, 2})};
  GroupNorm op{3, 1e-5f, Activation::silu, true, DType::f32};
  op.tail = true;
  EXPECT_EQ(infer(op, in), f32({2, 4, 4, 6}));
  expect_mismatch(op, first(in, 4));
  expect_mismatch(op, replaced(in, 3, bf16({2, 1, 1, 4})));
  expect_mismatch(op, replaced(in, 4, f32({2, 4, 4, 2})));
  expect_mismatch(op, replaced(in, 4, bf16({2, 4, 2, 2})));
  GroupNorm plain{4};
  plain.tail = true;
  expect_mismatch(plain, {in[0], in[1], in[2], in[4]});
}

TEST(Infer, Attention) {
  Attention op{3, 1};
  const TensorDesc q = bf16({2, 5, 12}), kv = bf16({2, 7, 12});
  EXPECT_EQ(infer(op, Descs{q, kv, kv}), q);
  expect_mismatch(op, {q, kv});
  expect_mismatch(op, {q, kv, q});
  expect_mismatch(op, {q, bf16({1, 7, 12}), bf16({1, 7, 12})});
  expect_mismatch(op, {q, f32({2, 7, 12}), f32({2, 7, 12})});
  expect_mismatch(op, {bf16({2, 2, 2, 12}), kv, kv});
  expect_mismatch(Attention{5, 1}, {q, kv, kv});
  op.packing = Attention::Packing::qkv;
  EXPECT_EQ(infer(op, Descs{bf16({2, 5, 36})}), q);
  expect_mismatch(op, {bf16({2, 5, 35})});
  op.packing = Attention::Packing::q_kv;
  EXPECT_EQ(infer(op, Descs{q, bf16({2, 7, 24})}), q);
  expect_mismatch(op, {q, kv});
}

TEST(Infer, Elementwise) {
  const TensorDesc x = bf16({2, 3, 4, 6});
  EXPECT_EQ(infer(Activate{}, Descs{x}), x);
  EXPECT_EQ(infer(Scale{{2}}, Descs{x}), x);
  EXPECT_EQ(infer(Cast{DType::f16}, Descs{x}), (TensorDesc{DType::f16, x.shape}));
  EXPECT_EQ(infer(GeluGate{}, Descs{x}), bf16({2, 3, 4, 3}));
  EXPECT_EQ(infer(ToRgb8{}, Descs{x}), (TensorDesc{DType::u8, x.shape}));
  expect_mismatch(Activate{}, {x, x});
  expect_mismatch(GeluGate{}, {bf16({2, 3})});
  expect_mismatch(GeluGate{}, {bf16({})});
  expect_mismatch(ToRgb8{}, {bf16({2, 3})});
}

TEST(Infer, ScaleHasOneFactorOrOnePerChannel) {
  const TensorDesc x = bf16({2, 3});
  EXPECT_EQ(infer(Scale{{2}, {1}}, Descs{x}), x);
  EXPECT_EQ(infer(Scale{{2, 3, 4}, {1, 0, 1}}, Descs{x}), x);
  expect_mismatch(Scale{{2, 3}, {1, 0}}, {x});
  expect_mismatch(Scale{{2, 3, 4}, {1}}, {x});
  expect_mismatch(Scale{{}, {}}, {x});
  expect_mismatch(Scale{{2, 3}, {1, 0}}, {bf16({})});
}

TEST(Infer, AddBroadcastsTheSecondOperandOnly) {
  const TensorDesc x = bf16({2, 3, 4, 6});
  EXPECT_EQ(infer(Add{}, Descs{x, x}), x);
  EXPECT_EQ(infer(Add{}, Descs{x, bf16({2, 1, 1, 6})}), x);
  EXPECT_EQ(infer(Add{}, Descs{x, f32({1, 1, 1, 1})}), x);
  expect_mismatch(Add{}, {bf16({2, 1, 1, 6}), x});
  expect_mismatch(Add{}, {x, bf16({6})});
  expect_mismatch(Add{}, {x, bf16({2, 3, 2, 6})});
}

TEST(Infer, Moves) {
  EXPECT_EQ(infer(Concat{}, Descs{f32({2, 3, 5}), f32({2, 3, 7})}), f32({2, 3, 12}));
  expect_mismatch(Concat{}, {f32({2, 3, 5}), f32({2, 4, 5})});
  expect_mismatch(Concat{}, {f32({2, 3, 5}), bf16({2, 3, 5})});
  expect_mismatch(Concat{}, {f32({2, 3, 5})});
  EXPECT_EQ(infer(Upsample2x{}, Descs{f32({2, 3, 5, 7})}), f32({2, 6, 10, 7}));
  EXPECT_EQ(infer(Upsample2x{true, false}, Descs{f32({2, 3, 5, 7})}), f32({2, 5, 10, 7}));
  expect_mismatch(Upsample2x{}, {f32({3, 5, 7})});
  EXPECT_EQ(infer(View{{2, 15, 7}}, Descs{f32({2, 3, 5, 7})}), f32({2, 15, 7}));
  expect_mismatch(View{{2, 15, 8}}, {f32({2, 3, 5, 7})});
}

TEST(Infer, Lookups) {
  EXPECT_EQ(infer(Embed{}, Descs{i32({2, 7}), bf16({10, 4})}), bf16({2, 7, 4}));
  expect_mismatch(Embed{}, {f32({2, 7}), bf16({10, 4})});
  expect_mismatch(Embed{}, {i32({7}), bf16({10, 4})});
  EXPECT_EQ(infer(Embed{true}, Descs{i32({2, 7}), bf16({10, 4}), bf16({3, 4})}), bf16({2, 7, 4}));
  expect_mismatch(Embed{}, {i32({2, 7}), bf16({10, 4}), bf16({3, 4})});
  expect_mismatch(Embed{true}, {i32({2, 7}), bf16({10, 4})});
  expect_mismatch(Embed{true}, {i32({2, 7}), bf16({10, 4}), bf16({3, 5})});
  expect_mismatch(Embed{true}, {i32({2, 7}), bf16({10, 4}), f32({3, 4})});
  EXPECT_EQ(infer(GatherRow{}, Descs{bf16({2, 7, 4}), i32({2})}), bf16({2, 4}));
  expect_mismatch(GatherRow{}, {bf16({2, 7, 4}), i32({1})});
  EXPECT_EQ(infer(TimestepEmbedding{6}, Descs{f32({2, 5})}), f32({2, 30}));
  expect_mismatch(TimestepEmbedding{5}, {f32({2, 5})});
  expect_mismatch(TimestepEmbedding{6}, {bf16({2, 5})});
}

TEST(Infer, Sampling) {
  // Two pictures with three slots each.
  const int64_t length = StepLayout::length(3);
  const TensorDesc state = f32({2, 12, 5, 3}), one = f32({2, 4, 5, 3}), step = f32({2, length});
  EXPECT_EQ(infer(SamplerUpdate{3}, Descs{state, bf16({2, 4, 5, 3}), one, step}), state);
  expect_mismatch(SamplerUpdate{0}, {state, one, one, step});
  expect_mismatch(SamplerUpdate{2}, {state, one, one, step});
  expect_mismatch(SamplerUpdate{5}, {state, one, one, f32({2, StepLayout::length(5)})});
  expect_mismatch(SamplerUpdate{3}, {state, one, bf16({2, 4, 5, 3}), step});
  expect_mismatch(SamplerUpdate{3}, {state, f32({4, 4, 5, 3}), one, step});
  expect_mismatch(SamplerUpdate{3}, {bf16({2, 12, 5, 3}), one, one, step});
  for (const TensorDesc& bad : {f32({2, StepLayout::length(2)}), f32({1, length}), f32({length}), bf16({2, length})}) {
    expect_mismatch(SamplerUpdate{3}, {state, one, one, bad});
    expect_mismatch(ThresholdSample{3}, {state, one, bad});
    expect_mismatch(ModelInput{1, 3, DType::bf16}, {state, bad});
  }
  EXPECT_EQ(infer(ThresholdSample{3}, Descs{state, bf16({2, 4, 5, 3}), step}), state);
  expect_mismatch(ThresholdSample{1}, {one, one, f32({2, StepLayout::length(1)})});
  expect_mismatch(ThresholdSample{2}, {state, one, step});
  expect_mismatch(ThresholdSample{3}, {state, f32({4, 4, 5, 3}), step});
  expect_mismatch(ThresholdSample{3}, {state, one, one, step});
}

TEST(Infer, BlendMask) {
  const BlendMask op{3};
  const Descs in{f32({2, 12, 5, 3}), f32({2, 4, 5, 3}), f32({2, 4, 5, 3}), f32({2, 4, 5, 1}),
                 f32({2, StepLayout::length(3)})};
  EXPECT_EQ(infer(op, in), in[0]);
  expect_mismatch(op, first(in, 4));
  expect_mismatch(BlendMask{2}, in);
  expect_mismatch(op, replaced(in, 0, bf16({2, 12, 5, 3})));
  for (const size_t latent : {1u, 2u}) {
    expect_mismatch(op, replaced(in, latent, bf16({2, 4, 5, 3})));
    expect_mismatch(op, replaced(in, latent, f32({1, 4, 5, 3})));
  }
  expect_mismatch(op, replaced(in, 3, f32({2, 4, 5, 3})));
  expect_mismatch(op, replaced(in, 3, bf16({2, 4, 5, 1})));
  expect_mismatch(op, replaced(in, 4, f32({1, StepLayout::length(3)})));
}

TEST(Infer, Branches) {
  const int64_t length = StepLayout::length(3);
  const TensorDesc state = f32({2, 12, 5, 3}), step = f32({2, length});
  for (int guided : {0, 1, 2}) {
    EXPECT_EQ(infer(ModelInput{guided, 3, DType::bf16}, Descs{state, step}), bf16({guided + 2, 4, 5, 3}));
    EXPECT_EQ(infer(BranchRows{guided}, Descs{f32({2, 7})}), f32({guided + 2, 7}));
  }
  EXPECT_EQ(infer(BranchRows{1}, Descs{bf16({2})}), bf16({3}));
  for (int guided : {-1, 3}) {
    expect_mismatch(ModelInput{guided, 3, DType::bf16}, {state, step});
    expect_mismatch(BranchRows{guided}, {f32({2, 7})});
  }
  expect_mismatch(BranchRows{0}, {f32({})});
  expect_mismatch(BranchRows{1}, {f32({2, 7}), step});
  expect_mismatch(ModelInput{1, 5, DType::bf16}, {state, step});
  expect_mismatch(ModelInput{1, 3, DType::bf16}, {bf16({2, 12, 5, 3}), step});
  EXPECT_EQ(infer(Guidance{2}, Descs{bf16({4, 4, 5, 3}), step}), f32({2, 4, 5, 3}));
  EXPECT_EQ(infer(Guidance{1, true}, Descs{bf16({3, 4, 5, 3}), step}), f32({2, 4, 5, 3}));
  expect_mismatch(Guidance{0}, {bf16({2, 4, 5, 3}), step});
  expect_mismatch(Guidance{1}, {bf16({4, 4, 5, 3}), step});
  expect_mismatch(Guidance{3}, {bf16({5, 4, 5, 3}), step});
  expect_mismatch(Guidance{1}, {bf16({3, 4, 15}), step});
  expect_mismatch(Guidance{1}, {bf16({3, 4, 5, 3}), f32({2, StepLayout::kUpdate - 1})});
  expect_mismatch(Guidance{1}, {bf16({3, 4, 5, 3}), f32({2 * length})});
}

TEST(Infer, SourcesHaveNoRule) {
  expect_mismatch(Input{}, {f32({1})});
  expect_mismatch(Weight{}, {f32({1})});
  EXPECT_THROW(infer(Activate{}, {}), Error);
}

}  // namespace
}  // namespace tempera
