// Each pass on a few nodes: a case that it must fuse, and the nearest case that it must not fuse.
#include "passes/passes.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "ir/builder.h"

namespace tempera {
namespace {

const Shape kImage{2, 4, 4, 8};

// The ops of a graph that compute something, in order.
std::vector<OpKind> ops(const Graph& graph) {
  std::vector<OpKind> kinds;
  for (const Node& node : graph.nodes()) {
    const OpKind kind = kind_of(node.op);
    if (kind != OpKind::input && kind != OpKind::weight && kind != OpKind::view) kinds.push_back(kind);
  }
  return kinds;
}

template <class T>
const T& only(const Graph& graph) {
  const T* found = nullptr;
  for (const Node& node : graph.nodes())
    if (const T* op = std::get_if<T>(&node.op)) {
      EXPECT_EQ(found, nullptr);
      found = op;
    }
  EXPECT_NE(found, nullptr);
  return *found;
}

using Kinds = std::vector<OpKind>;

TEST(FuseGroupNorm, TakesShiftAndActivation) {
  Builder b("g", DType::f32);
  const Tensor x = b.input("x", DType::f32, kImage), t = b.input("t", DType::f32, {2, 1, 1, 8});
  b.output("y", b.silu(b.group_norm(b.add(x, t), Scope{"n"}, 4, 1e-5f)));
  const Graph g = fuse_group_norm(std::move(b).finish());
  EXPECT_EQ(ops(g), (Kinds{OpKind::group_norm}));
  EXPECT_TRUE(only<GroupNorm>(g).shift);
  EXPECT_EQ(only<GroupNorm>(g).activation, Activation::silu);
}

TEST(FuseGroupNorm, LeavesASumThatIsReadElsewhere) {
  Builder b("g", DType::f32);
  const Tensor x = b.input("x", DType::f32, kImage), t = b.input("t", DType::f32, {2, 1, 1, 8});
  const Tensor sum = b.add(x, t);
  b.output("y", b.add(b.group_norm(sum, Scope{"n"}, 4, 1e-5f), sum));
  EXPECT_EQ(ops(fuse_group_norm(std::move(b).finish())), (Kinds{OpKind::add, OpKind::group_norm, OpKind::add}));
}

TEST(FuseGroupNorm, LeavesASumOfImages) {
  Builder b("g", DType::f32);
  const Tensor x = b.input("x", DType::f32, kImage), y = b.input("y", DType::f32, kImage);
  b.output("z", b.group_norm(b.add(x, y), Scope{"n"}, 4, 1e-5f));
  EXPECT_EQ(ops(fuse_group_norm(std::move(b).finish())), (Kinds{OpKind::add, OpKind::group_norm}));
}

TEST(FuseEpilogue, TakesActivationThenResidual) {
  Builder b("g", DType::f32);
  const Tensor x = b.input("x", DType::f32, kImage), r = b.input("r", DType::f32, kImage);
  b.output("y", b.add(b.silu(b.conv2d(x, Scope{"c"}, {.out = 8})), r));
  const Graph g = fuse_epilogue(std::move(b).finish());
  EXPECT_EQ(ops(g), (Kinds{OpKind::conv2d}));
  EXPECT_EQ(only<Conv2d>(g).activation, Activation::silu);
  EXPECT_TRUE(only<Conv2d>(g).residual);
}

TEST(FuseEpilogue, TakesAResidualComputedLaterAndASecondOperand) {
  Builder b("g", DType::f32);
  const Tensor x = b.input("x", DType::f32, kImage);
  const Tensor h = b.conv2d(x, Scope{"c"}, {.out = 16});
  b.output("y", b.add(h, b.group_norm(b.conv2d(x, Scope{"s"}, {.out = 16}), Scope{"n"}, 4, 1e-5f)));
  EXPECT_EQ(ops(fuse_epilogue(std::move(b).finish())), (Kinds{OpKind::conv2d, OpKind::group_norm, OpKind::conv2d}));
}

TEST(FuseEpilogue, SeesThroughAView) {
  Builder b("g", DType::f32);
  const Tensor x = b.input("x", DType::f32, kImage);
  const Tensor h = b.linear(b.view(x, {2, 16, 8}), Scope{"l"}, {.out = 8});
  b.output("y", b.add(b.view(h, kImage), x));
  const Graph g = fuse_epilogue(std::move(b).finish());
  EXPECT_EQ(ops(g), (Kinds{OpKind::linear}));
  EXPECT_EQ(g.desc(g.outputs()[0].value).shape, kImage);
}

TEST(FuseEpilogue, LeavesABroadcastSumAndAnActivationAfterASum) {
  Builder b("g", DType::f32);
  const Tensor x = b.input("x", DType::f32, kImage), t = b.input("t", DType::f32, {2, 1, 1, 8});
  b.output("y", b.add(b.conv2d(x, Scope{"c"}, {.out = 8}), t));
  b.output("z", b.silu(b.add(b.conv2d(x, Scope{"d"}, {.out = 8}), x)));
  const Graph g = fuse_epilogue(std::move(b).finish());
  EXPECT_EQ(ops(g), (Kinds{OpKind::conv2d, OpKind::add, OpKind::conv2d, OpKind::activate}));
}

TEST(FuseEpilogue, LeavesAProductThatIsReadTwiceOrIsAnOutput) {
  Builder b("g", DType::f32);
  const Tensor x = b.input("x", DType::f32, kImage);
  const Tensor twice = b.conv2d(x, Scope{"c"}, {.out = 8});
  b.output("doubled", b.add(twice, twice));
  const Tensor shown = b.conv2d(x, Scope{"d"}, {.out = 8});
  b.output("shown", shown);
  b.output("sum", b.add(shown, x));
  EXPECT_EQ(ops(fuse_epilogue(std::move(b).finish())),
            (Kinds{OpKind::conv2d, OpKind::add, OpKind::conv2d, OpKind::add}));
}

TEST(MergeQkv, StacksSelfAndCrossAttention) {
  Builder b("g", DType::f32);
  const Tensor x = b.input("x", DType::f32, {2, 5, 8}), t = b.input("t", DType::f32, {2, 3, 6});
  const LinearOptions o{.out = 8, .bias = false};
  const auto attend = [&](Tensor from, const Scope& w) {
    return b.attention(b.linear(x, w / "q", o), b.linear(from, w / "k", o), b.linear(from, w / "v", o), 2);
  };
  b.output("self", attend(x, Scope{"a"}));
  b.output("cross", attend(t, Scope{"c"}));
  const Graph g = merge_qkv(std::move(b).finish());
  EXPECT_EQ(ops(g), (Kinds{OpKind::linear, OpKind::attention, OpKind::linear, OpKind::linear, OpKind::attention}));
  const auto stacked = [&](std::vector<std::string> names) {
    return std::any_of(g.nodes().begin(), g.nodes().end(), [&](const Node& n) {
      const auto* w = std::get_if<Weight>(&n.op);
      return w != nullptr && w->names == names;
    });
  };
  EXPECT_TRUE(stacked({"a.q.weight", "a.k.weight", "a.v.weight"}));
  EXPECT_TRUE(stacked({"c.k.weight", "c.v.weight"}));
}

TEST(MergeQkv, LeavesKeysAndValuesOfDifferentSources) {
  Builder b("g", DType::f32);
  const Tensor x = b.input("x", DType::f32, {2, 5, 8}), y = b.input("y", DType::f32, {2, 5, 8});
  const LinearOptions o{.out = 8};
  b.output("z", b.attention(b.linear(x, Scope{"q"}, o), b.linear(x, Scope{"k"}, o), b.linear(y, Scope{"v"}, o), 2));
  EXPECT_EQ(ops(merge_qkv(std::move(b).finish())),
            (Kinds{OpKind::linear, OpKind::linear, OpKind::linear, OpKind::attention}));
}

TEST(FuseGeglu, TakesALinearAndLeavesAnythingElse) {
  Builder b("g", DType::f32);
  const Tensor x = b.input("x", DType::f32, {2, 5, 8});
  b.output("y", b.gelu_gate(b.linear(x, Scope{"l"}, {.out = 32})));
  b.output("z", b.gelu_gate(x));
  EXPECT_EQ(ops(fuse_geglu(std::move(b).finish())), (Kinds{OpKind::geglu_linear, OpKind::gelu_gate}));
}

// The up block of a UNet, with the readers of its concatenation. Unless this one should be the largest, the graph has a
// larger one.
struct UpBlock {
  Builder b;
  Tensor x, skip, both;
  explicit UpBlock(DType compute = DType::f32, bool largest = false)
      : b("g", compute, DType::f32),
        x(b.input("x", DType::f32, kImage)),
        skip(b.input("skip", DType::f32, {2, 4, 4, 4})),
        both(b.concat(x, skip)) {
    if (!largest) b.output("larger", b.concat(b.concat(x, x), x));
  }
  Tensor norm() { return b.group_norm(both, Scope{"n"}, 4, 1e-5f); }
  Tensor conv(int kernel) {
    return b.conv2d(both, Scope{"c"}, {.out = 4, .kernel = kernel, .pad = kernel / 2, .into_stream = true});
  }
};

// Names of the inputs that the only T of a graph reads, in order; "" for a value that is no input.
template <class T>
std::vector<std::string> sources(const Graph& graph) {
  std::vector<std::string> names;
  for (const Node& node : graph.nodes()) {
    if (!std::holds_alternative<T>(node.op)) continue;
    for (ValueId id : node.inputs) {
      const auto* input = std::get_if<Input>(&graph.node(id).op);
      names.push_back(input != nullptr ? input->name : "");
    }
  }
  return names;
}

using Names = std::vector<std::string>;

TEST(ReadConcat, GivesBothPartsToNormsAndConvolutionsOfOnePixel) {
  UpBlock u;
  u.b.output("y", u.norm());
  u.b.output("z", u.conv(1));
  const Graph g = read_concat(std::move(u.b).finish());
  EXPECT_EQ(ops(g), (Kinds{OpKind::concat, OpKind::concat, OpKind::group_norm, OpKind::conv2d}));
  EXPECT_TRUE(only<GroupNorm>(g).tail && only<Conv2d>(g).tail);
  EXPECT_EQ(sources<GroupNorm>(g), (Names{"x", "", "", "skip"}));
  EXPECT_EQ(sources<Conv2d>(g), (Names{"x", "", "", "skip"}));
}

TEST(ReadConcat, GoesThroughACast) {
  UpBlock u(DType::bf16, true);
  u.b.output("y", u.norm());
  u.b.output("z", u.conv(1));
  const Graph g = read_concat(std::move(u.b).finish());
  EXPECT_EQ(ops(g), (Kinds{OpKind::group_norm, OpKind::cast, OpKind::cast, OpKind::conv2d}));
  EXPECT_EQ(sources<Cast>(g), (Names{"x", "skip"}));
  EXPECT_TRUE(only<GroupNorm>(g).tail && only<Conv2d>(g).tail);
}

TEST(ReadConcat, LeavesRoomForWhatIsFused) {
  UpBlock u;
  const Tensor r = u.b.input("r", DType::f32, {2, 4, 4, 4}), t = u.b.input("t", DType::f32, {2, 1, 1, 12});
  u.b.output("y", u.b.add(u.conv(1), r));
  u.b.output("z", u.b.op(GroupNorm{.groups = 4, .shift = true}, {u.both, u.b.weight(Scope{"g"}, DType::f32, {12}),
                                                                 u.b.weight(Scope{"h"}, DType::f32, {12}), t}));
  const Graph g = optimize(std::move(u.b).finish());
  EXPECT_EQ(ops(g), (Kinds{OpKind::concat, OpKind::concat, OpKind::conv2d, OpKind::group_norm}));
  EXPECT_EQ(sources<Conv2d>(g), (Names{"x", "", "", "skip", "r"}));
  EXPECT_EQ(sources<GroupNorm>(g), (Names{"x", "", "", "t", "skip"}));
}

TEST(ReadConcat, LeavesWhatAnythingElseReads) {
  for (int reader = 0; reader < 5; ++reader) {
    UpBlock u(reader == 4 ? DType::bf16 : DType::f32);
    u.b.output("y", u.norm());
    if (reader == 0) u.b.output("z", u.conv(3));
    if (reader == 1) u.b.output("z", u.both);
    if (reader == 2) u.b.output("z", u.b.silu(u.both));
    if (reader == 3) u.b.output("z", u.b.conv2d(u.both, Scope{"c"}, {.out = 8, .kernel = 1, .stride = 2, .pad = 0}));
    if (reader == 4) u.b.output("z", u.b.silu(u.b.cast(u.both, DType::bf16)));
    const Graph before = std::move(u.b).finish();
    EXPECT_EQ(dump(read_concat(before)), dump(before)) << reader;
  }
}

TEST(ReadConcat, LeavesAConvolutionWithAnActivationAndAWeightOrBiasThatIsOne) {
  UpBlock u;
  u.b.output("y", u.b.silu(u.conv(1)));
  const Graph fused = fuse_epilogue(std::move(u.b).finish());
  EXPECT_EQ(dump(read_concat(fused)), dump(fused));

  Builder b("g", DType::f32);
  const Tensor x = b.input("x", DType::f32, {1, 2, 2, 4}), part = b.input("part", DType::f32, {1});
  const Tensor w = b.weight(Scope{"w"}, DType::f32, {2, 4, 1, 1});
  b.output("y", b.op(Conv2d{1, 1, 0, 0}, {x, w, b.concat(part, part)}));
  const Graph biased = std::move(b).finish();
  EXPECT_EQ(dump(read_concat(biased)), dump(biased));
}

TEST(ReadConcat, OfAConcatenationReadsTheOuterOne) {
  UpBlock u;
  const Tensor all = u.b.concat(u.both, u.b.input("more", DType::f32, {2, 4, 4, 4}));
  u.b.output("y", u.b.group_norm(all, Scope{"n"}, 4, 1e-5f));
  const Graph g = read_concat(std::move(u.b).finish());
  EXPECT_EQ(ops(g), (Kinds{OpKind::concat, OpKind::concat, OpKind::concat, OpKind::group_norm}));
  EXPECT_EQ(sources<GroupNorm>(g), (Names{"", "", "", "more"}));
}

// In f32 the norm's result alone is as large. In bf16 both results together are smaller.
TEST(ReadConcat, LeavesTheLargestWhereMemoryWouldGrow) {
  UpBlock f32(DType::f32, true), bf16(DType::bf16, true);
  for (UpBlock* u : {&f32, &bf16}) {
    u->b.output("y", u->norm());
    u->b.output("z", u->conv(1));
  }
  const Graph before = std::move(f32.b).finish();
  EXPECT_EQ(dump(read_concat(before)), dump(before));
  EXPECT_TRUE(only<GroupNorm>(read_concat(std::move(bf16.b).finish())).tail);
}

TEST(Optimize, KeepsInputsAndOutputs) {
  Builder b("g", DType::f32);
  const Tensor unused = b.input("unused", DType::f32, {1});
  const Tensor state = b.input("state", DType::f32, {1, 2, 2, 4}, Rate::step),
               noise = b.input("noise", DType::f32, {1, 2, 2, 4}, Rate::step);
  const Tensor step = b.input("step", DType::f32, {1, StepLayout::length(1)}, Rate::step);
  b.output("state", b.op(SamplerUpdate{1}, {state, state, noise, step}), "state");
  EXPECT_EQ(unused.shape(), Shape{1});
  const Graph g = optimize(std::move(b).finish());
  EXPECT_EQ(
      std::count_if(g.nodes().begin(), g.nodes().end(), [](const Node& n) { return kind_of(n.op) == OpKind::input; }),
      4);
  EXPECT_EQ(g.outputs()[0].over_input, "state");
}

}  // namespace
}  // namespace tempera
