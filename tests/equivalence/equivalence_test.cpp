// The same small UNet step in every way in which a program can be lowered. Ways that only move memory or work must not
// change a bit; fusion must be within rounding.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <optional>
#include <random>

#include "models/unet.h"
#include "passes/passes.h"
#include "program/residency.h"
#include "runtime/executable.h"
#include "support/backends.h"
#include "support/random_checkpoint.h"
#include "support/reference.h"

namespace tempera {
namespace {

std::vector<float> noise(size_t n, unsigned seed) {
  std::mt19937 generator(seed);
  std::normal_distribution<float> normal;
  std::vector<float> values(n);
  for (float& v : values) v = normal(generator);
  return values;
}

struct Way {
  bool optimized = false;
  LowerOptions lowering = {};
  std::optional<StreamOptions> stream = {};
  bool two_passes = false;
};

constexpr size_t kAll = size_t{1} << 30;
// Marks the device's clock between all steps, and reads it at the end of every run.
class Clocked final : public StepWatcher {
 public:
  Clocked(Backend& backend, Queue& queue, size_t steps)
      : queue_(queue), stopwatch_(backend.make_stopwatch(steps + 1)) {}
  void begin(const Program&, size_t) override { stopwatch_->mark(queue_, marks_ = 0); }
  void after(size_t) override { stopwatch_->mark(queue_, ++marks_); }
  void end() override {
    queue_.synchronize();
    double sum = 0;
    for (size_t i = 0; i < marks_; ++i) {
      EXPECT_GE(stopwatch_->seconds(i, i + 1), 0);
      sum += stopwatch_->seconds(i, i + 1);
    }
    EXPECT_GT(sum, 0);
    // The clocks of cards have two ticks per microsecond.
    EXPECT_NEAR(sum, stopwatch_->seconds(0, marks_), 1e-6 * static_cast<double>(marks_));
    ++runs;
  }
  int runs = 0;

 private:
  Queue& queue_;
  std::unique_ptr<Stopwatch> stopwatch_;
  size_t marks_ = 0;
};

// Two steps of a batch of two pictures, so that the results of the prologue are used twice.
std::vector<float> run(Backend& backend, DType dtype, const Way& way, bool clocked = false) {
  ModelConfig model = preset("tiny");
  DenoiseGraphOptions options{.images = 2, .guided = 2, .guidance_rescale = true, .slots = 2};
  options.two_passes = way.two_passes;
  options.unet = {.height = 7, .width = 10, .dtype = dtype};  // odd at a downsampling
  Graph graph = denoise_graph(model.unet, options);
  if (way.optimized) graph = optimize(std::move(graph));
  const std::unique_ptr<Queue> queue = backend.make_queue();
  Program program = lower(graph, backend.target(), way.lowering);
  if (way.stream) {
    StreamOptions streaming = *way.stream;
    streaming.alignment = backend.target().alignment;
    if (streaming.stream > 0) streaming.stream = std::max(streaming.stream, least_stream(program, streaming.alignment));
    program = stream_weights(std::move(program), streaming);
  }
  const test::RandomCheckpoint checkpoint(graph);
  LoneExecutable lone(std::move(program), backend, *queue, checkpoint);
  Executable& e = *lone;
  e.load();
  Clocked clock(backend, *queue, e.program().steps.size());
  if (clocked) e.watch(&clock);

  const auto random = [&](const char* name, unsigned seed) {
    e.write_input(name, noise(static_cast<size_t>(e.program().input(name).ref.desc.shape.elements()), seed));
  };
  const auto condition = [&](const std::string& name, size_t width, unsigned seed) {
    const std::vector<float> rows = noise(4 * width, seed);  // two pictures, negative before positive
    if (way.two_passes) {
      e.write_input("negative_" + name, std::span(rows).first(2 * width));
      e.write_input(name, std::span(rows).last(2 * width));
    } else {
      e.write_input(name, rows);
    }
  };
  const auto width = [&](const char* name) {
    const Shape& shape = e.program().input(name).ref.desc.shape;
    return static_cast<size_t>(shape.elements() / shape[0]);
  };
  condition("encoder_hidden_states", width("encoder_hidden_states"), 1);
  condition("text_embeds", width("text_embeds"), 2);
  condition("time_ids", width("time_ids"), 3);
  random("state", 4);
  e.run_prologue();
  for (const float timestep : {601.0f, 301.0f}) {
    std::vector<float> steps;                   // the same for both pictures
    std::vector<float> step = {0.7f, 5, 0.7f};  // scale, guidance, rescale; no thresholding
    step.resize(StepLayout::kUpdate);
    step.insert(step.end(), {0.9f, 0.1f, -0.3f, 0.2f, 1, 0, 0, 0});
    for (int n = 0; n < 2; ++n) steps.insert(steps.end(), step.begin(), step.end());
    e.write_input("step", steps);
    e.write_input("timestep", std::vector<float>(2, timestep));
    random("noise", 5);
    e.run();
  }
  EXPECT_EQ(clock.runs, clocked ? 3 : 0);
  return e.read_output("state");
}

class Equivalence : public ::testing::TestWithParam<std::string> {
 protected:
  // The fused ops decide the engine of a convolution. With TF32, engines differ by 1e-3.
  static void SetUpTestSuite() { test::forbid_tf32(); }
};

TEST_P(Equivalence, MemoryReuseChangesNothing) {
  const auto backend = test::make_backend(GetParam());
  for (const bool optimized : {false, true}) {
    Way apart{optimized, {}};
    apart.lowering.reuse = false;
    EXPECT_EQ(run(*backend, DType::f32, {optimized, {}}), run(*backend, DType::f32, apart));
  }
}

// Parameters are copied before the steps that use them: into memory that earlier steps have read, or into memory that
// activations leave free (0). Or they are copied once and stay.
TEST_P(Equivalence, StreamingChangesNothing) {
  const auto backend = test::make_backend(GetParam());
  const std::vector<float> resident = run(*backend, DType::f32, {true});
  for (const size_t stream : {size_t{0}, size_t{1}, size_t{100'000}, size_t{1'000'000}, kAll})
    for (const size_t stays : {size_t{0}, size_t{500'000}, kAll})
      EXPECT_EQ(run(*backend, DType::f32, {true, {}, StreamOptions{stream, stays}}), resident)
          << stream << " bytes to travel through, " << stays << " stay";
  Way tight{true, {}, StreamOptions{}};
  tight.lowering.hoist = false;
  EXPECT_EQ(run(*backend, DType::f32, tight), resident);
}

// If the host may lock no memory, a card's parameters are copied through a ring, which needs the least locked memory.
TEST_P(Equivalence, StreamingThroughARingChangesNothing) {
  if (GetParam() != "cuda") GTEST_SKIP() << "the host's memory is the device's";
  const auto backend = test::make_backend(GetParam()), ring = test::make_backend(GetParam(), 0);
  const std::vector<float> resident = run(*backend, DType::f32, {true});
  for (const size_t stream : {size_t{0}, size_t{1}, size_t{100'000}, size_t{1'000'000}, kAll})
    EXPECT_EQ(run(*ring, DType::f32, {true, {}, StreamOptions{stream, 0}}), resident) << stream;
}

// Devices may use other kernels for other batches, so the results are equal within rounding.
TEST_P(Equivalence, GuidanceInTwoPassesIsGuidance) {
  const auto backend = test::make_backend(GetParam());
  Way apart{true};
  apart.two_passes = true;
  const std::vector<float> once = run(*backend, DType::f32, {true});
  EXPECT_LE(test::relative_error(run(*backend, DType::f32, apart), once), 1e-5);
  apart.stream = StreamOptions{100'000, 0};
  EXPECT_LE(test::relative_error(run(*backend, DType::f32, apart), once), 1e-5);
}

TEST_P(Equivalence, HoistingChangesNothing) {
  const auto backend = test::make_backend(GetParam());
  Way every_step{true, {}};
  every_step.lowering.hoist = false;
  EXPECT_EQ(run(*backend, DType::f32, {true, {}}), run(*backend, DType::f32, every_step));
}

TEST_P(Equivalence, RunningTwiceGivesTheSameBits) {
  const auto backend = test::make_backend(GetParam());
  EXPECT_EQ(run(*backend, DType::f32, {true, {}}), run(*backend, DType::f32, {true, {}}));
}

TEST_P(Equivalence, WatchingChangesNothing) {
  const auto backend = test::make_backend(GetParam());
  EXPECT_EQ(run(*backend, DType::f32, {true, {}}), run(*backend, DType::f32, {true, {}}, true));
}

TEST_P(Equivalence, PassesStayWithinRounding) {
  const auto backend = test::make_backend(GetParam());
  EXPECT_LE(test::relative_error(run(*backend, DType::f32, {true, {}}), run(*backend, DType::f32, {false, {}})), 1e-5);
}

TEST_P(Equivalence, NaiveAndFlashAttentionAgree) {
  const auto backend = test::make_backend(GetParam());
  // Fused attention on cards is only for half precision.
  const bool card = GetParam() == "cuda";
  const DType dtype = card ? DType::f16 : DType::f32;
  Way flash{true, {}}, naive{true, {}};
  flash.lowering.exclude = {"attention/naive"};
  naive.lowering.exclude = {"attention/flash", "attention/amx"};
  EXPECT_LE(test::relative_error(run(*backend, dtype, flash), run(*backend, dtype, naive)), card ? 5e-3 : 1e-5);
}

TEST_P(Equivalence, HalfPrecisionFollowsFull) {
  const auto backend = test::make_backend(GetParam());
  const std::vector<float> full = run(*backend, DType::f32, {true, {}});
  for (const DType dtype : test::compute_dtypes(GetParam()))
    EXPECT_LE(test::relative_error(run(*backend, dtype, {true, {}}), full), 2e-2) << name(dtype);
}

// The slow reference is tested only if there is no other backend.
std::vector<std::string> backends() {
  std::vector<std::string> names = test::backend_names();
  if (names.size() > 1) std::erase(names, "reference");
  return names;
}

INSTANTIATE_TEST_SUITE_P(All, Equivalence, ::testing::ValuesIn(backends()),
                         [](const auto& param_info) { return param_info.param; });

}  // namespace
}  // namespace tempera
