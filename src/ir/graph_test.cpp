// Graphs as they are built, printed and counted.
#include "ir/graph.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "ir/builder.h"

namespace tempera {
namespace {
using testing::ElementsAre;
using testing::IsEmpty;

TEST(Graph, DumpOfAResnetHead) {
  Builder b("head", DType::bf16);
  const Scope w("block");
  const Tensor x = b.input("x", DType::bf16, {2, 8, 8, 64}, Rate::step);
  const Tensor h = b.silu(b.group_norm(x, w / "norm", 32, 1e-5f));
  const Tensor y = b.conv2d(h, w / "conv" / 0, {.out = 32, .stride = 2, .pad = 0, .pad_after = 1});
  b.output("y", b.view(y, {2, 16, 32}), "x");
  EXPECT_EQ(dump(std::move(b).finish()),
            "graph head\n"
            "%0 = input{x per-step}() bf16[2x8x8x64]\n"
            "%1 = weight{block.norm.weight}() f32[64]\n"
            "%2 = weight{block.norm.bias}() f32[64]\n"
            "%3 = group_norm{32 eps 1e-05}(%0, %1, %2) bf16[2x8x8x64]\n"
            "%4 = activate{silu}(%3) bf16[2x8x8x64]\n"
            "%5 = weight{block.conv.0.weight}() bf16[32x64x3x3]\n"
            "%6 = weight{block.conv.0.bias}() f32[32]\n"
            "%7 = conv2d{3x3/2 pad 0:1 bias}(%4, %5, %6) bf16[2x4x4x32]\n"
            "%8 = view(%7) bf16[2x16x32]\n"
            "output y %8 over x\n");
}

TEST(Graph, OpsPrintWhatTellsThemApart) {
  EXPECT_EQ(to_string(Conv2d{1, 1, 0, 0, false, Activation::relu, true}), "conv2d{1x1/1 pad 0 relu residual}");
  EXPECT_EQ(to_string(Linear{true, Activation::quick_gelu}), "linear{bias quick_gelu}");
  EXPECT_EQ(to_string(Linear{false}), "linear");
  EXPECT_EQ(to_string(GroupNorm{32, 1e-6f, Activation::silu, true}), "group_norm{32 eps 1e-06 shift silu}");
  EXPECT_EQ(to_string(Conv2d{1, 1, 0, 0, true, Activation::none, true, std::nullopt, true}),
            "conv2d{1x1/1 pad 0 tail bias residual}");
  EXPECT_EQ(to_string(GroupNorm{32, 1e-6f, Activation::silu, false, std::nullopt, true}),
            "group_norm{32 eps 1e-06 tail silu}");
  EXPECT_EQ(to_string(Attention{8, 0.125f, true, Attention::Packing::q_kv}),
            "attention{8 heads scale 0.125 causal q_kv}");
  EXPECT_EQ(to_string(Weight{{"a", "b"}}), "weight{a | b}");
  EXPECT_EQ(to_string(TimestepEmbedding{256, true, 0}), "timestep_embedding{256 cos first shift 0}");
  EXPECT_EQ(to_string(Scale{{0.5f}, {1}}), "scale{0.5 + 1}");
  EXPECT_EQ(to_string(Scale{{2, 4}, {0, -1}}), "scale{2 4 + 0 -1}");
  EXPECT_EQ(to_string(Cast{DType::f16}), "cast{f16}");
  EXPECT_EQ(to_string(BranchRows{2}), "branch_rows{2 guided}");
  EXPECT_EQ(to_string(ModelInput{2, 3}), "model_input{2 guided 3 slots}");
  EXPECT_EQ(to_string(Guidance{2, true}), "guidance{2 guided rescale}");
  EXPECT_EQ(to_string(ThresholdSample{3}), "threshold_sample{3 slots}");
  EXPECT_EQ(to_string(SamplerUpdate{4}), "sampler_update{4 slots}");
  EXPECT_EQ(to_string(BlendMask{2}), "blend_mask{2 slots}");
}

TEST(Graph, UsersAreTheReadersInOrder) {
  Builder b("g", DType::f32);
  const Tensor x = b.input("x", DType::f32, {1, 4});
  const Tensor y = b.silu(x);
  const Tensor z = b.add(y, x);
  b.output("z", z);
  const Graph g = std::move(b).finish();
  const auto users = g.users();
  EXPECT_THAT(users[x.id()], ElementsAre(y.id(), z.id()));
  EXPECT_THAT(users[y.id()], ElementsAre(z.id()));
  EXPECT_THAT(users[z.id()], IsEmpty());
}

TEST(Graph, RefusesInputsThatDoNotExistYet) {
  Graph g("g");
  const ValueId x = g.add_source(Input{"x"}, {DType::f32, {1}});
  EXPECT_THROW(g.add(Activate{}, {x + 1}), Error);
  EXPECT_THROW(g.add_output("y", x + 1), Error);
  EXPECT_THROW(g.add_source(Activate{}, {DType::f32, {1}}), Error);
}

TEST(Builder, SharesAWeightOfOneName) {
  Builder b("g", DType::f32);
  const Tensor x = b.input("x", DType::f32, {1, 4});
  const size_t before = b.linear(x, Scope{"w"}, {.out = 4}).id();
  EXPECT_EQ(b.linear(x, Scope{"w"}, {.out = 4}).id(), before + 1) << "only the node itself is new";
  EXPECT_THROW(b.linear(x, Scope{"w"}, {.out = 5}), Error) << "one name, two shapes";
}

TEST(Builder, LeavesOutWhatDoesNothing) {
  Builder b("g", DType::f32);
  const Tensor x = b.input("x", DType::f32, {1, 4});
  EXPECT_EQ(b.cast(x, DType::f32).id(), x.id());
  EXPECT_EQ(b.view(x, {1, 4}).id(), x.id());
  EXPECT_EQ(b.activate(x, Activation::none).id(), x.id());
}

double flops_of(const Op& op, const std::vector<TensorDesc>& inputs) {
  Graph g("g");
  std::vector<ValueId> ids;
  ids.reserve(inputs.size());
  for (const TensorDesc& d : inputs) ids.push_back(g.add_source(Input{}, d));
  return flops(g, g.add(op, ids));
}

TEST(Flops, OfKnownLayers) {
  const auto f32 = [](Shape shape) { return TensorDesc{DType::f32, shape}; };
  EXPECT_EQ(flops_of(Linear{false}, {f32({2, 77, 768}), f32({3072, 768})}), 2.0 * 2 * 77 * 768 * 3072);
  EXPECT_EQ(flops_of(Linear{true}, {f32({5, 7}), f32({3, 7}), f32({3})}), 2.0 * 5 * 7 * 3) << "bias does not count";
  EXPECT_EQ(flops_of(GegluLinear{false}, {f32({5, 7}), f32({6, 7})}), 2.0 * 5 * 7 * 6);
  EXPECT_EQ(flops_of(Conv2d{3, 2, 1, 1, false}, {f32({2, 128, 128, 320}), f32({320, 320, 3, 3})}),
            2.0 * 2 * 64 * 64 * 320 * 320 * 9);
  Attention attention{10, 0.125f};
  EXPECT_EQ(flops_of(attention, {f32({2, 4096, 640}), f32({2, 77, 640}), f32({2, 77, 640})}),
            2.0 * 2 * (2.0 * 4096 * 77 * 640));
  attention.packing = Attention::Packing::q_kv;
  EXPECT_EQ(flops_of(attention, {f32({2, 4096, 640}), f32({2, 77, 1280})}), 2.0 * 2 * (2.0 * 4096 * 77 * 640));
  attention.packing = Attention::Packing::qkv;
  EXPECT_EQ(flops_of(attention, {f32({2, 64, 1920})}), 2.0 * 2 * (2.0 * 64 * 64 * 640));
  EXPECT_EQ(flops_of(Activate{}, {f32({2, 64, 64})}), 0);
}

TEST(Flops, OfAGraphIsTheSumOfItsNodes) {
  Builder b("g", DType::f32);
  const Tensor x = b.input("x", DType::f32, {5, 7});
  b.output("y", b.linear(b.silu(b.linear(x, Scope{"a"}, {.out = 3})), Scope{"b"}, {.out = 2}));
  EXPECT_EQ(flops(std::move(b).finish()), 2.0 * 5 * 7 * 3 + 2.0 * 5 * 3 * 2);
}

}  // namespace
}  // namespace tempera
