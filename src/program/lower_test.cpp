// The kernel of a node, the form of its weights, and the printed program.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "program/lower_fixture.h"

namespace tempera {
namespace {
using testing::AllOf;
using testing::HasSubstr;

// Kernels.

TEST_F(LowerTest, TakesTheFirstKernelThatDoesNotRefuse) {
  fake.row(OpKind::linear).refuse = [](const Problem& p) -> std::optional<std::string> {
    if (p.output.shape[-1] % 16 != 0) return "needs 16 columns";
    return std::nullopt;
  };
  fake.add(OpKind::linear, "any");
  b.output("y", linear(linear(input("x"), "a", 16), "b", 5));
  const Program p = lowered();
  EXPECT_EQ(fake.target().kernels[p.steps[0].kernel]->name, "linear/plain");
  EXPECT_EQ(fake.target().kernels[p.steps[1].kernel]->name, "linear/any");
}

TEST_F(LowerTest, ExcludedKernelsAreNotTaken) {
  fake.add(OpKind::linear, "any");
  b.output("y", linear(input("x"), "a"));
  const Program p = lowered(without("linear/plain"));
  EXPECT_EQ(fake.target().kernels[p.steps[0].kernel]->name, "linear/any");
}

TEST_F(LowerTest, AMissingKernelIsAnErrorWithEveryReason) {
  fake.row(OpKind::linear).refuse = [](const Problem&) { return "needs AVX-512"; };
  fake.add(OpKind::linear, "any");
  b.output("y", linear(input("x"), "a"));
  EXPECT_THAT(error_of(without("linear/any")),
              AllOf(HasSubstr("no kernel runs linear to f32[4x16] on fake"), HasSubstr("linear/plain needs AVX-512"),
                    HasSubstr("linear/any is excluded")));
  EXPECT_EQ(code, ErrorCode::unavailable);
}

TEST_F(LowerTest, AnOpWithoutKernelsSaysSo) {
  b.output("y", b.op(GeluGate{}, {input("x")}));
  EXPECT_THAT(error_of(), HasSubstr("it has none for this op"));
}

TEST_F(LowerTest, WorkspacesArePlannedWithTheValues) {
  fake.row(OpKind::linear).workspace = [](const Problem& p) -> size_t { return p.output.bytes(); };
  b.output("y", linear(linear(input("x"), "a", 100), "b", 3));
  const Program p = lowered();
  EXPECT_EQ(step(p, OpKind::linear, 0).workspace.bytes, 1600u);
  EXPECT_EQ(step(p, OpKind::linear, 1).workspace.bytes, 64u);
  const Ref& between = step(p, OpKind::linear, 0).output;
  for (const Step& s : p.steps)
    EXPECT_FALSE(
        overlap(between, {Space::arena, s.workspace.offset, {f32, {static_cast<int64_t>(s.workspace.bytes) / 4}}}));
  EXPECT_EQ(p.memory.arena, 3200u) << "the value and the larger workspace";
}

// Weights.

TEST_F(LowerTest, WeightsOfOneLayoutAreShared) {
  const Tensor x = input("x");
  b.output("y", b.concat(linear(x, "w"), linear(b.silu(x), "w")));
  const Program p = lowered();
  ASSERT_EQ(p.weights.size(), 1u);
  EXPECT_TRUE(same_place(step(p, OpKind::linear, 0).inputs[1], step(p, OpKind::linear, 1).inputs[1]));
  EXPECT_EQ(p.memory.weights, 1024u);
}

TEST_F(LowerTest, WeightsOfTwoLayoutsAreKeptTwice) {
  fake.row(OpKind::linear).packed = [](const Problem& p, int input) -> KernelInfo::Packed {
    const bool tall = p.inputs[0].shape[0] > 4;
    return {p.inputs[static_cast<size_t>(input)].bytes() + (tall ? 1u : 0u), tall ? "tall" : "flat"};
  };
  const Tensor flat = linear(input("x"), "w"), tall = linear(b.input("z", f32, {8, 16}, Rate::step), "w");
  b.output("flat", flat);
  b.output("tall", tall);
  const Program p = lowered();
  ASSERT_EQ(p.weights.size(), 2u);
  EXPECT_EQ(p.weights[0].layout, "flat");
  EXPECT_EQ(p.weights[1].layout, "tall");
  EXPECT_EQ(p.weights[1].bytes, 1025u);
  EXPECT_EQ(p.weights[1].step, 1u);
  EXPECT_EQ(p.weights[1].input, 1u);
  EXPECT_EQ(p.memory.weights, 1024u + 1088u) << "rounded up to the alignment";
}

// Without reuse.

TEST_F(LowerTest, WithoutReuseNothingIsShared) {
  Tensor h = input("x");
  for (const char* w : {"a", "b", "c"}) h = b.silu(linear(h, w));
  b.output("y", linear(h, "d"));
  const Program p = lowered(kNoReuse);
  for (size_t i = 0; i < p.steps.size(); ++i)
    for (size_t k = 0; k < i; ++k) EXPECT_FALSE(overlap(p.steps[i].output, p.steps[k].output)) << i << " " << k;
  EXPECT_EQ(p.memory.arena, 6 * 256u);
}

TEST_F(LowerTest, ReportAddsUp) {
  b.output("y", linear(b.silu(linear(input("x"), "a")), "b"));
  const Program p = lowered();
  EXPECT_EQ(p.memory.peak(), p.memory.arena + p.memory.weights + p.memory.io);
  EXPECT_EQ(p.memory.io, 512u);
  EXPECT_EQ(p.memory.weights, 2048u);
}

TEST_F(LowerTest, DumpOfASmallProgram) {
  fake.row(OpKind::linear).workspace = [](const Problem&) -> size_t { return 100; };
  const Tensor k = linear(input("text", Rate::request), "k");
  const Tensor h = b.silu(b.linear(input("x"), Scope{"q"}, {.out = 16}));
  b.output("y", b.view(b.add(h, k), {2, 2, 16}));
  EXPECT_EQ(dump(lowered(), fake.target()), R"(program g for fake
once per request:
0 linear by linear/plain
    <- io+0x0:f32[4x16]
    <- weights+0x0:f32[16x16]
    -> kept+0x0:f32[4x16]
    with arena+0x0, 128 bytes
per step:
1 linear{bias} by linear/plain
    <- io+0x100:f32[4x16]
    <- weights+0x400:f32[16x16]
    <- weights+0x800:f32[16]
    -> arena+0x0:f32[4x16]
    with arena+0x100, 128 bytes
2 activate{silu} by activate/plain
    <- arena+0x0:f32[4x16]
    -> arena+0x0:f32[4x16]
3 add by add/plain
    <- arena+0x0:f32[4x16]
    <- kept+0x0:f32[4x16]
    -> io+0x200:f32[4x16]
weight k.weight f32[16x16] at 0x0, 1024 bytes
weight q.weight f32[16x16] at 0x400, 1024 bytes
weight q.bias f32[16] at 0x800, 64 bytes
input text io+0x0:f32[4x16]
input x io+0x100:f32[4x16]
output y io+0x200:f32[2x2x16]
memory: arena 384, kept 256, weights 2112, io 768, peak 3520
)");
}

}  // namespace
}  // namespace tempera
