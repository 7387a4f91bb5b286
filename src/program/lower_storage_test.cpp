// Which values may share memory. The cases without sharing are the most important: each error would be a wrong picture.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "program/lower_fixture.h"

namespace tempera {
namespace {
using testing::HasSubstr;

// Views.

TEST_F(LowerTest, ViewsAreNotStepsAndShareMemory) {
  const Tensor h = linear(input("x"), "a");
  b.output("y", linear(b.view(b.view(h, {64}), {8, 8}), "b", 8));
  const Program p = lowered();
  ASSERT_EQ(p.steps.size(), 2u);
  EXPECT_TRUE(same_place(p.steps[1].inputs[0], p.steps[0].output));
  EXPECT_EQ(p.steps[1].inputs[0].desc.shape, (Shape{8, 8}));
}

TEST_F(LowerTest, AViewKeepsWhatItLooksAtAlive) {
  const Tensor h = linear(input("x"), "a");
  const Tensor v = b.view(h, {1, 4, 16});
  const Tensor g = linear(h, "b"), k = linear(g, "c");
  b.output("y", b.add(b.view(k, {1, 4, 16}), v));
  const Program p = lowered();
  EXPECT_FALSE(overlap(p.steps[0].output, p.steps[1].output));
  EXPECT_FALSE(overlap(p.steps[0].output, p.steps[2].output));
  EXPECT_TRUE(same_place(p.steps[3].inputs[1], p.steps[0].output));
}

TEST_F(LowerTest, ViewsOfInputsWeightsAndOutputs) {
  const Tensor x = b.view(input("x"), {8, 8});
  const Tensor w = b.view(b.weight(Scope{"w"}, f32, {4, 8, 1, 1}), {4, 8});
  b.output("y", b.view(b.op(Linear{false}, {x, w}), {2, 16}));
  const Program p = lowered();
  ASSERT_EQ(p.steps.size(), 1u);
  EXPECT_TRUE(same_place(p.steps[0].inputs[0], p.input("x").ref));
  EXPECT_EQ(p.steps[0].inputs[1].desc.shape, (Shape{4, 8}));
  EXPECT_EQ(p.weights[0].desc.shape, (Shape{4, 8, 1, 1})) << "as the checkpoint has it";
  EXPECT_TRUE(same_place(p.steps[0].output, p.output("y").ref));
  EXPECT_EQ(p.output("y").ref.desc.shape, (Shape{2, 16}));
}

// In place: over a value that no later step reads.

TEST_F(LowerTest, RunsInPlaceOverAValueThatDies) {
  b.output("y", linear(b.silu(linear(input("x"), "a")), "b"));
  const Program p = lowered();
  EXPECT_TRUE(same_place(p.steps[1].output, p.steps[0].output));
  EXPECT_EQ(p.memory.arena, 256u);
}

TEST_F(LowerTest, RunsInPlaceThroughAView) {
  b.output("y", linear(b.silu(b.view(linear(input("x"), "a"), {8, 8})), "b", 8));
  const Program p = lowered();
  EXPECT_TRUE(same_place(p.steps[1].output, p.steps[0].output));
}

TEST_F(LowerTest, ChainsOfInPlaceStepsStayAlive) {
  const Tensor h = linear(input("x"), "a");
  const Tensor chain = b.silu(b.scale(b.silu(h), 2));
  const Tensor other = linear(input("z"), "b");
  b.output("y", b.concat(chain, other));
  const Program p = lowered();
  EXPECT_TRUE(same_place(p.steps[3].output, p.steps[0].output));
  EXPECT_FALSE(overlap(step(p, OpKind::linear, 1).output, p.steps[3].output));
}

void expect_apart(const Program& p, size_t producer, size_t consumer) {
  EXPECT_FALSE(overlap(p.steps[producer].output, p.steps[consumer].output));
}

TEST_F(LowerTest, NotInPlaceWhenTheValueIsReadLater) {
  const Tensor h = linear(input("x"), "a");
  b.output("y", linear(b.add(linear(b.silu(h), "b"), h), "c"));
  expect_apart(lowered(), 0, 1);
}

TEST_F(LowerTest, NotInPlaceWhenAViewOfTheValueIsReadLater) {
  const Tensor h = linear(input("x"), "a");
  const Tensor v = b.view(h, {8, 8});
  const Tensor s = b.view(linear(b.silu(h), "b"), {8, 8});
  b.output("y", linear(b.add(s, v), "c", 8));
  expect_apart(lowered(), 0, 1);
}

TEST_F(LowerTest, NotInPlaceWhenTheNodeReadsItTwice) {
  const Tensor h = linear(input("x"), "a");
  b.output("y", linear(b.add(h, h), "b"));
  expect_apart(lowered(), 0, 1);
}

TEST_F(LowerTest, NotInPlaceWhenTheNodeReadsItAgainThroughAView) {
  const Tensor h = linear(input("x"), "a");
  b.output("y", linear(b.add(b.view(h, {8, 8}), b.view(h, {8, 8})), "b", 8));
  expect_apart(lowered(), 0, 1);
}

TEST_F(LowerTest, NotInPlaceOverTheSecondInput) {
  const Tensor h = linear(input("x"), "a"), g = linear(input("z"), "b");
  b.output("y", b.concat(linear(b.add(g, h), "c"), g));
  const Program p = lowered();
  EXPECT_FALSE(overlap(step(p, OpKind::add).output, step(p, OpKind::add).inputs[1]));
  EXPECT_FALSE(overlap(step(p, OpKind::add).output, step(p, OpKind::add).inputs[0]));
}

TEST_F(LowerTest, NotInPlaceWhenTheKernelCannot) {
  fake.row(OpKind::activate).in_place = false;
  b.output("y", linear(b.silu(linear(input("x"), "a")), "b"));
  expect_apart(lowered(), 0, 1);
}

TEST_F(LowerTest, NotInPlaceWhenTheSizeChanges) {
  b.output("y", linear(b.cast(linear(input("x"), "a"), DType::bf16), "b"));
  expect_apart(lowered(), 0, 1);
}

// Half of the channels at twice the width: as many bytes.
TEST_F(LowerTest, NotInPlaceOverXWhereItHasATail) {
  fake.row(OpKind::group_norm).in_place = true;
  const Shape image{1, 4, 4, 16};
  const Tensor x = b.view(linear(b.input("x", f32, {16, 16}, Rate::step), "a"), image);
  GroupNorm op{4, 1e-5f, Activation::none, false, DType::bf16};
  op.tail = true;
  const Tensor gamma = b.weight(Scope{"g"}, f32, {32}), beta = b.weight(Scope{"h"}, f32, {32});
  const Tensor n = b.op(op, {x, gamma, beta, b.input("skip", f32, image, Rate::step)});
  b.output("y", b.cast(n, f32));
  const Program p = lowered();
  ASSERT_EQ(p.steps[0].output.desc.bytes(), p.steps[1].output.desc.bytes());
  expect_apart(p, 0, 1);
}

TEST_F(LowerTest, NotInPlaceOverAnInput) {
  b.output("y", linear(b.silu(input("x")), "b"));
  const Program p = lowered();
  EXPECT_FALSE(overlap(p.steps[0].output, p.input("x").ref));
  EXPECT_EQ(p.steps[0].output.space, Space::arena);
}

TEST_F(LowerTest, NotInPlaceOverAWeight) {
  const Tensor w = b.weight(Scope{"w"}, f32, kRow);
  b.output("y", linear(b.silu(w), "b"));
  const Program p = lowered();
  EXPECT_EQ(p.steps[0].inputs[0].space, Space::weights);
  EXPECT_EQ(p.steps[0].output.space, Space::arena);
}

TEST_F(LowerTest, NotInPlaceOverAnOutput) {
  const Tensor h = linear(input("x"), "a");
  b.output("h", h);
  b.output("y", linear(b.silu(h), "b"));
  const Program p = lowered();
  EXPECT_TRUE(same_place(p.steps[0].output, p.output("h").ref));
  EXPECT_EQ(p.steps[1].output.space, Space::arena);
}

TEST_F(LowerTest, NotInPlaceWithoutReuse) {
  b.output("y", linear(b.silu(linear(input("x"), "a")), "b"));
  expect_apart(lowered(kNoReuse), 0, 1);
}

// Once per request, and every step.

TEST_F(LowerTest, RunsWhatIsConstantFirst) {
  const Tensor h = linear(input("x"), "a");
  const Tensor context = linear(input("text", Rate::request), "k");
  b.output("y", b.add(h, context));
  const Program p = lowered();
  EXPECT_EQ(p.prologue, 1u);
  EXPECT_EQ(p.steps[0].node, context.id());
  EXPECT_EQ(p.flops_prologue, 2.0 * 4 * 16 * 16);
  EXPECT_EQ(p.flops_step, 2.0 * 4 * 16 * 16);
}

TEST_F(LowerTest, HoistOffKeepsTheGraphsOrder) {
  const Tensor h = linear(input("x"), "a");
  b.output("y", b.add(h, linear(input("text", Rate::request), "k")));
  const Program p = lowered(kNoHoist);
  EXPECT_EQ(p.prologue, 0u);
  EXPECT_EQ(p.steps[0].node, h.id());
}

TEST_F(LowerTest, AGraphWithoutStepsHasNoPrologue) {
  b.output("y", linear(b.silu(linear(input("x", Rate::request), "a")), "b"));
  const Program p = lowered();
  EXPECT_EQ(p.prologue, 0u);
  EXPECT_EQ(p.steps.size(), 3u);
}

TEST_F(LowerTest, ConstantsSurviveTheWholeBody) {
  // The constant is read by the first step of the body only, but the body runs again.
  const Tensor constant = linear(input("text", Rate::request), "k");
  Tensor h = b.add(linear(input("x"), "a"), constant);
  for (const char* w : {"b", "c", "d", "e"}) h = linear(h, w);
  b.output("y", h);
  const Program p = lowered();
  ASSERT_EQ(p.prologue, 1u);
  for (size_t s = 1; s < p.steps.size(); ++s) EXPECT_FALSE(overlap(p.steps[s].output, p.steps[0].output)) << s;
}

TEST_F(LowerTest, NotInPlaceOverAConstantReadByTheBody) {
  const Tensor constant = linear(input("text", Rate::request), "k");
  b.output("y", b.concat(linear(b.add(constant, input("x")), "b"), input("z")));
  const Program p = lowered();
  ASSERT_EQ(p.prologue, 1u);
  for (size_t s = 1; s < p.steps.size(); ++s) EXPECT_FALSE(overlap(p.steps[s].output, p.steps[0].output)) << s;
}

TEST_F(LowerTest, ConstantsThatOnlyThePrologueReadsMakeRoom) {
  const Tensor constant = linear(linear(input("text", Rate::request), "k"), "l");
  b.output("y", linear(b.add(linear(input("x"), "a"), constant), "b"));
  const MemoryReport memory = lowered().memory;
  EXPECT_EQ(memory.kept, 256u);
  EXPECT_EQ(memory.arena, 256u);
}

// Inputs, outputs and state.

class StateTest : public LowerTest {
 protected:
  StateTest() {
    state = b.input("state", f32, {2, 4, 4, 4}, Rate::request);
    noise = b.input("noise", f32, {2, 4, 4, 4}, Rate::step);
    step_rows = b.input("step", f32, {2, StepLayout::length(1)}, Rate::step);
  }
  Tensor update(Tensor prediction) { return b.op(SamplerUpdate{1}, {*state, prediction, *noise, *step_rows}); }
  Tensor model_input() { return b.op(ModelInput{0, 1, f32}, {*state, *step_rows}); }

  std::optional<Tensor> state, noise, step_rows;
};

TEST_F(StateTest, AnOutputMayBeWrittenOverItsInput) {
  b.output("state", update(model_input()), "state");
  const Program p = lowered();
  EXPECT_TRUE(same_place(p.input("state").ref, p.output("state").ref));
  EXPECT_TRUE(same_place(p.steps[1].output, p.steps[1].inputs[0]));
  EXPECT_EQ(p.memory.io, p.input("state").ref.desc.bytes() * 2 + 128) << "state, noise and step";
}

TEST_F(StateTest, OtherwiseOutputsHaveTheirOwnMemory) {
  b.output("next", update(model_input()));
  const Program p = lowered();
  for (const IoSlot& slot : p.inputs) EXPECT_FALSE(overlap(slot.ref, p.output("next").ref)) << slot.name;
}

TEST_F(StateTest, WhatIsOverwrittenVariesPerStepWhateverItSays) {
  b.output("state", b.op(SamplerUpdate{1}, {*state, b.silu(*state), *noise, *step_rows}), "state");
  EXPECT_EQ(lowered().prologue, 0u);
}

TEST_F(StateTest, NeedsAKernelThatRunsInPlace) {
  fake.row(OpKind::sampler_update).in_place = false;
  b.output("state", update(model_input()), "state");
  EXPECT_THAT(error_of(), HasSubstr("sampler_update/plain cannot write over its input"));
  EXPECT_EQ(code, ErrorCode::unavailable);
}

TEST_F(StateTest, TakesTheFirstKernelThatRunsInPlace) {
  fake.row(OpKind::sampler_update).in_place = false;
  fake.add(OpKind::sampler_update, "in_place").in_place = true;
  b.output("state", update(model_input()), "state");
  const Program p = lowered();
  EXPECT_EQ(fake.target().kernels[p.steps[1].kernel]->name, "sampler_update/in_place");
}

TEST_F(StateTest, NeedsNoneWhenTheStateIsNotReadByTheWriter) {
  fake.row(OpKind::add).in_place = false;
  b.output("state", b.add(b.silu(*state), *noise), "state");
  EXPECT_EQ(lowered().steps.size(), 2u);
}

TEST_F(StateTest, RefusesToReadWhatIsOverwritten) {
  b.output("state", update(model_input()), "state");
  b.output("late", b.silu(*state));
  EXPECT_THAT(error_of(), HasSubstr("input state is read after sampler_update{1 slots} was written over it"));
  EXPECT_EQ(code, ErrorCode::internal);
}

TEST_F(StateTest, RefusesToReadItTwiceWhileOverwriting) {
  b.output("state", b.add(*state, *state), "state");
  EXPECT_THAT(error_of(), HasSubstr("input state is read after"));
}

TEST_F(StateTest, RefusesAnOutputOverAnInputThatIsNotThereOrDiffers) {
  b.output("y", model_input(), "nothing");
  EXPECT_THAT(error_of(), HasSubstr("internal error"));
  Builder other("g", f32);
  other.input("x", f32, {4, 16});
  other.output("y", other.silu(other.input("z", f32, {4, 8})), "x");
  EXPECT_THROW(lower(std::move(other).finish(), fake.target()), Error);
}

TEST_F(LowerTest, NamesThatAreNotThereAreInternalErrors) {
  b.output("y", b.silu(input("x")));
  const Program p = lowered();
  EXPECT_EQ(p.input("x").name, "x");
  EXPECT_THROW(p.input("y"), Error);
  EXPECT_THROW(p.output("x"), Error);
}

}  // namespace
}  // namespace tempera
