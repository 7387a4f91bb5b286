// The sums of measurements, the events of a traced run, and the file for trace viewers.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "backend/reference/reference.h"
#include "ir/builder.h"
#include "measure/bench_bound.h"
#include "measure/random_values.h"
#include "pipeline/planning.h"
#include "program/residency.h"
#include "runtime/bench_steps.h"
#include "runtime/tracer.h"
#include "support/files.h"
#include "tempera/tempera.h"
#include "weights/tensor_file.h"

namespace tempera {
namespace {

using Json = nlohmann::json;
using testing::Each;
using testing::ElementsAre;
using testing::HasSubstr;

// Once per request: a product of `text`. In every run: two products of one shape, an addition, one product of another.
Program small_program(const Target& target) {
  Builder b("part", DType::f32);
  const Tensor text = b.linear(b.input("text", DType::f32, {2, 8}), Scope("text"), {.out = 8});
  Tensor x = b.input("x", DType::f32, {2, 8}, Rate::step);
  x = b.linear(x, Scope("first"), {.out = 8});
  x = b.linear(b.add(x, text), Scope("second"), {.out = 8});
  b.output("y", b.linear(x, Scope("third"), {.out = 16, .bias = false}));
  return lower(std::move(b).finish(), target);
}

Ceilings ceilings() {
  return {{{"f32", "linear/x", 1024, 100.0}, {"bf16", "linear/x", 1024, 400.0}}, {"add/x", 12, 10.0}};
}

class Bench : public testing::Test {
 protected:
  std::unique_ptr<Backend> backend_ = make_reference_backend();
  Program program_ = small_program(backend_->target());
};

TEST_F(Bench, AlikeStepsAreMeasuredOnce) {
  ASSERT_EQ(program_.prologue, 1u);
  ASSERT_EQ(program_.steps.size(), 5u);
  const std::vector<DistinctStep> distinct = distinct_steps(program_);
  ASSERT_EQ(distinct.size(), 3u);
  EXPECT_EQ(distinct[0].step, 0u);
  EXPECT_EQ(distinct[0].calls_once, 1u);
  EXPECT_EQ(distinct[0].calls, 2u);
  EXPECT_EQ(distinct[1].step, 2u);  // the addition
  EXPECT_EQ(distinct[1].calls, 1u);
  EXPECT_EQ(distinct[2].step, 4u);
  EXPECT_EQ(distinct[2].calls_once, 0u);
}

TEST(Median, IsTheMiddle) {
  EXPECT_EQ(median({3}), 3);
  EXPECT_EQ(median({9, 1, 2}), 2);
  EXPECT_EQ(median({9, 1, 2, 4}), 3);
}

TEST_F(Bench, TimesAreComparedWithWhatTheCeilingsAllow) {
  // x 2x8, w 8x8, bias 8, y 2x8: 2 * 2 * 8 * 8 flops, 4 * (16 + 64 + 8 + 16) bytes.
  const OpTime time = op_time(program_.steps[1], "linear/x", 3, {5, 2, 4}, ceilings());
  EXPECT_EQ(time.op, "linear");
  EXPECT_EQ(time.shape, "linear{bias} f32[2x8], f32[8x8], f32[8] -> f32[2x8]");
  EXPECT_EQ(time.calls, 3u);
  EXPECT_DOUBLE_EQ(time.seconds, 3 * 4);
  EXPECT_DOUBLE_EQ(time.least_seconds, 3 * 2);
  EXPECT_DOUBLE_EQ(time.flops, 3 * 256);
  EXPECT_DOUBLE_EQ(time.bytes, 3 * 416);
  EXPECT_DOUBLE_EQ(time.arithmetic_seconds, 3 * 2.56);
  EXPECT_DOUBLE_EQ(time.memory_seconds, 3 * 41.6);
  EXPECT_DOUBLE_EQ(time.floor_seconds, 3 * 41.6);
  Ceilings fast_memory = ceilings();
  fast_memory.memory.bytes_per_second = 1e9;
  EXPECT_DOUBLE_EQ(op_time(program_.steps[1], "linear/x", 3, {5}, fast_memory).floor_seconds, 3 * 2.56);
  const OpTime addition = op_time(program_.steps[2], "add/x", 1, {1}, ceilings());
  EXPECT_EQ(addition.arithmetic_seconds, 0);
  EXPECT_DOUBLE_EQ(addition.bytes, 3 * 64);
}

TEST(BytesOf, CountsTheRowsOfATableThatAreRead) {
  Builder b("part", DType::f32);
  const Tensor ids = b.input("ids", DType::i32, {1, 7});
  const Tensor table = b.weight(Scope("table"), DType::f32, {1000, 4});
  b.output("rows", b.op(Embed{}, {ids, table}));
  const auto backend = make_reference_backend();
  const Program program = lower(std::move(b).finish(), backend->target());
  EXPECT_EQ(bytes_of(program.steps[0]), 7 * 4 + 2 * (7 * 4 * 4));
}

TEST_F(Bench, GroupsAddUpToTheirShapes) {
  BenchPart part;
  part.shapes = {op_time(program_.steps[1], "linear/a", 2, {1}, ceilings()),
                 op_time(program_.steps[2], "add/a", 1, {5}, ceilings()),
                 op_time(program_.steps[4], "linear/a", 1, {7}, ceilings()),
                 op_time(program_.steps[4], "linear/b", 1, {1}, ceilings())};
  part.groups = grouped(part.shapes);
  ASSERT_EQ(part.groups.size(), 3u);
  EXPECT_EQ(part.groups[0].kernel, "linear/a");
  EXPECT_EQ(part.groups[0].calls, 3u);
  EXPECT_EQ(part.groups[0].seconds, 9);
  EXPECT_EQ(part.groups[0].shape, "");
  EXPECT_EQ(part.groups[1].kernel, "add/a");
  OpTime sum;
  for (const OpTime& group : part.groups) add(sum, group);
  const OpTime total = part.total();
  EXPECT_EQ(total.calls, 5u);
  EXPECT_DOUBLE_EQ(sum.seconds, total.seconds);
  EXPECT_DOUBLE_EQ(sum.bytes, total.bytes);
  EXPECT_DOUBLE_EQ(sum.floor_seconds, total.floor_seconds);
  EXPECT_DOUBLE_EQ(total.seconds, 2 + 5 + 7 + 1);
}

TEST_F(Bench, StepsOneByOneComputeWhatARunComputes) {
  BenchDevice device(*backend_, true);
  BoundProgram bound(program_, device);
  bound->run_prologue();
  bound->run();
  const std::vector<float> whole = bound->read_output("y");
  bound->write(program_.output("y").ref, std::vector<std::byte>(program_.output("y").ref.desc.bytes()));
  EXPECT_THAT(bound->read_output("y"), Each(0));
  for (size_t s = 0; s < program_.steps.size(); ++s) bound->run_step(s);
  EXPECT_EQ(bound->read_output("y"), whole);
  EXPECT_GT(device.time([&] { bound->run(); }), 0);
  const BenchDevice::Series series = device.series(*bound, 1);
  EXPECT_GE(series.times, 1);
  EXPECT_GT(device.time(series), 0);
}

// Random weights keep activations at a size where no kernel meets infinities, or numbers too small to be normal.
TEST(RandomModel, GivesOrdinaryNumbers) {
  const auto backend = make_reference_backend();
  EngineOptions engine;
  engine.preset = "tiny";
  engine.offload = "none";
  Request request;
  request.width = request.height = 32;
  const PlannedRequest planned = plan_request(engine, request, {"cpu", DType::f32}, backend->target(), 1);
  BenchDevice device(*backend, true);
  EXPECT_NE(planned.fitted.stages.find(kEncoderStage), nullptr);
  for (const StageSpec& stage : planned.fitted.stages.list) {
    if (stage.role == Role::decode) continue;  // pixels
    const Program* const program = &stage.programs.front();
    BoundProgram bound(*program, device);
    bound->run_prologue();
    bound->run();
    for (const IoSlot& output : program->outputs) {
      double squares = 0;
      const std::vector<float> values = bound->read_output(output.name);
      for (const float value : values) squares += static_cast<double>(value) * value;
      const double size = std::sqrt(squares / static_cast<double>(values.size()));
      EXPECT_GT(size, 0.01) << program->name << " " << output.name;
      EXPECT_LT(size, 100) << program->name << " " << output.name;
    }
  }
}

class Traces : public Bench {
 protected:
  // A stage "work" with the prologue and two runs.
  std::vector<TraceEvent> traced() {
    std::vector<TraceEvent> events;
    const auto queue = backend_->make_queue();
    const RandomWeights weights(program_);  // outlives its readers
    LoneExecutable lone(program_, *backend_, *queue, weights);
    Executable& executable = *lone;
    executable.load();
    write_random_inputs(executable);
    Tracer tracer(*backend_, *queue, [&](const TraceEvent& event) { events.push_back(event); });
    executable.watch(&tracer);
    tracer.begin_stage("work");
    executable.run_prologue();
    executable.run();
    executable.run();
    executable.leave();
    tracer.end_stage();
    return events;
  }

  Json saved(const std::vector<TraceEvent>& events, const std::string& title) {
    const std::filesystem::path path = testing::TempDir() + "/tempera_trace_test.json";
    save_trace(path, events, title);
    std::ifstream file(path);
    Json json = Json::parse(file);
    std::filesystem::remove(path);
    return json;
  }
};

TEST_F(Traces, HoldEveryStepOfEveryRun) {
  const std::vector<TraceEvent> events = traced();
  std::vector<std::string> runs;
  std::vector<std::string> ops;
  double run_seconds = 0, step_seconds = 0, stage_seconds = 0;
  for (const TraceEvent& event : events) {
    EXPECT_EQ(event.stage, "work");
    EXPECT_GE(event.seconds, 0);
    if (event.kind == TraceEvent::Kind::run) {
      runs.push_back(event.component);
      run_seconds += event.seconds;
    } else if (event.kind == TraceEvent::Kind::step) {
      ops.push_back(event.op);
      step_seconds += event.seconds;
      EXPECT_THAT(event.shape, HasSubstr(" -> f32[2x"));
      EXPECT_THAT(event.kernel, HasSubstr("/reference"));
    } else {
      stage_seconds += event.seconds;
    }
  }
  EXPECT_THAT(runs, ElementsAre("part, once", "part", "part"));
  EXPECT_THAT(ops, ElementsAre("linear", "linear", "add", "linear", "linear", "linear", "add", "linear", "linear"));
  EXPECT_GT(step_seconds, 0);
  EXPECT_LE(step_seconds, run_seconds * (1 + 1e-9));
  EXPECT_LE(run_seconds, stage_seconds);
}

TEST_F(Traces, AreFilesOfNestedSpansInOrder) {
  const Json json = saved(traced(), "a title that is no UTF-8: \xff");
  struct Span {
    double begin, end;
  };
  std::vector<Span> open;
  double last = 0;
  size_t spans = 0, names = 0;
  for (const Json& event : json.at("traceEvents")) {
    if (event.at("ph") == "M") {
      ++names;
      continue;
    }
    EXPECT_EQ(event.at("ph"), "X");
    EXPECT_EQ(event.at("tid"), 1);
    const double begin = event.at("ts"), end = begin + event.at("dur").get<double>();
    EXPECT_GE(begin, last);
    last = begin;
    constexpr double kRounding = 1e-4;  // microseconds: of adding two decimal numbers
    while (!open.empty() && open.back().end <= begin + kRounding) open.pop_back();
    if (!open.empty()) {
      EXPECT_LE(end, open.back().end + kRounding);
    }
    const size_t depth = event.at("cat") == "stage" ? 0 : event.at("cat") == "run" ? 1 : 2;
    EXPECT_EQ(open.size(), depth) << event;
    open.push_back({begin, end});
    ++spans;
  }
  EXPECT_EQ(names, 2u);  // the process and one track
  EXPECT_EQ(spans, 1u + 3 + 9);
}

// Through the least space there can be, so that every segment is copied anew in every run.
TEST_F(Traces, HoldTheCopiesOfParametersThatTravel) {
  const size_t alignment = backend_->target().alignment;
  program_ = stream_weights(program_, {.stream = least_stream(program_, alignment), .alignment = alignment});
  ASSERT_GE(program_.segments.size(), 3u);
  double once = 0, in_a_run = 0;
  for (const Segment& segment : program_.segments)
    (segment.first < program_.prologue ? once : in_a_run) += static_cast<double>(segment.bytes);
  const std::vector<TraceEvent> events = traced();
  double copied = 0, copies_end = 0;
  size_t waits = 0;
  for (const TraceEvent& event : events) {
    if (event.kind == TraceEvent::Kind::wait) ++waits;
    if (event.kind != TraceEvent::Kind::copy) continue;
    copied += event.bytes;
    EXPECT_EQ(event.component, "part");
    EXPECT_FALSE(event.shape.empty());
    EXPECT_GE(event.start, copies_end) << "one at a time";
    EXPECT_GE(event.seconds, 0);
    copies_end = event.start + event.seconds;
  }
  EXPECT_GE(copied, once + 2 * in_a_run);
  EXPECT_LE(copied, once + 3 * in_a_run) << "some for a third run";
  EXPECT_GE(waits, program_.segments.size());
  const Json json = saved(events, "streamed");
  size_t on_track = 0;
  for (const Json& event : json.at("traceEvents"))
    if (event.at("ph") == "X" && event.at("cat") == "copy") {
      EXPECT_EQ(event.at("tid"), 2);
      ++on_track;
    }
  EXPECT_EQ(on_track, static_cast<size_t>(std::ranges::count(events, TraceEvent::Kind::copy, &TraceEvent::kind)));
}

TEST(TraceTotals, AreByStageOpAndKernelSlowestFirst) {
  using enum TraceEvent::Kind;
  const std::vector<TraceEvent> events = {{stage, "plan", "", "", "", "", 0, 9},
                                          {step, "text", "t", "add", "add/a", "s", 0, 1, 2, 3},
                                          {step, "text", "t", "linear", "linear/a", "s", 1, 4},
                                          {step, "decode", "d", "add", "add/a", "s", 5, 8},
                                          {step, "text", "t", "add", "add/a", "other", 6, 2, 2, 3}};
  const std::vector<TraceTotal> totals = trace_totals(events);
  ASSERT_EQ(totals.size(), 3u);
  EXPECT_EQ(totals[0].kernel, "linear/a");
  EXPECT_EQ(totals[1].kernel, "add/a");
  EXPECT_EQ(totals[1].calls, 2u);
  EXPECT_EQ(totals[1].seconds, 3);
  EXPECT_EQ(totals[1].flops, 4);
  EXPECT_EQ(totals[1].bytes, 6);
  EXPECT_EQ(totals[2].stage, "decode");
}

TEST(PictureDifference, CountsLevels) {
  const std::vector<uint8_t> black(8, 0), spot = {0, 0, 4, 0, 0, 0, 0, 8};
  const PictureDifference difference = picture_difference(black, spot);
  EXPECT_DOUBLE_EQ(difference.mean, 1.5);
  EXPECT_EQ(difference.max, 8);
  EXPECT_DOUBLE_EQ(difference.squares, 10);
  EXPECT_NEAR(difference.psnr(), 38.1308, 1e-4);
  EXPECT_NEAR(picture_difference(black, std::vector<uint8_t>(8, 255)).psnr(), 0, 1e-12);
  EXPECT_TRUE(std::isinf(picture_difference(spot, spot).psnr()));
  EXPECT_THROW(picture_difference(black, std::vector<uint8_t>(7)), Error);
  EXPECT_THROW(picture_difference({}, {}), Error);
}

// Mean and deviation of all elements that are stored in the type.
TEST(Synth, QuantisedWeightsHaveTheSpreadOfOthers) {
  const TemporaryFolder folder;
  for (const auto& [name, dtype, type] : {std::tuple{"a.safetensors", "fp8", "f8_e4m3"}, {"a.gguf", "q4_k", "Q4_K"}}) {
    synth({.preset = "tiny", .dtype = dtype}, folder / name);
    const auto file = open_tensor_file(folder / name);
    int checked = 0;
    for (const std::string& tensor : file->names()) {
      const CheckpointTensor stored = file->get(tensor);
      if (stored.stored_type() != type) continue;
      EXPECT_TRUE(tensor.starts_with("model.diffusion_model.")) << tensor;
      double sum = 0, squares = 0;
      for (const float value : stored.floats()) {
        sum += value;
        squares += static_cast<double>(value) * value;
      }
      const double n = static_cast<double>(stored.elements()), deviation = std::sqrt(squares / n);
      const double expected = weight_spread(tensor, stored.dims).deviation;
      if (n < 5000) continue;
      EXPECT_NEAR(sum / n, 0, 0.1 * expected) << tensor;
      EXPECT_NEAR(deviation, expected, 0.1 * expected) << tensor;
      ++checked;
    }
    EXPECT_GE(checked, 10) << name;
  }
  EXPECT_THROW(synth({.preset = "tiny", .dtype = "q4_k"}, folder / "b.safetensors"), Error);
  EXPECT_THROW(synth({.preset = "tiny", .dtype = "fp8"}, folder / "b.gguf"), Error);
}

}  // namespace
}  // namespace tempera
