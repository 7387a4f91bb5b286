// Denoising steps with masks: blending for UNets that do not read a mask, and the input of those that do.
#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "models/unet.h"
#include "passes/passes.h"
#include "runtime/executable.h"
#include "support/backends.h"
#include "support/random_checkpoint.h"
#include "support/reference.h"

namespace tempera {
namespace {

using Floats = std::vector<float>;

constexpr int kHeight = 4, kWidth = 6, kTokens = 7;
constexpr size_t kPixels = size_t{kHeight} * kWidth, kLatent = kPixels * 4;

Floats normal(size_t n, unsigned seed) {
  std::mt19937 generator(seed);
  std::normal_distribution<float> distribution;
  Floats values(n);
  for (float& v : values) v = distribution(generator);
  return values;
}

void append(Floats& all, const Floats& more) {
  all.insert(all.end(), more.begin(), more.end());
}

Floats part(const Floats& all, size_t index, size_t parts) {
  const size_t n = all.size() / parts;
  const auto first = all.begin() + static_cast<std::ptrdiff_t>(index * n);
  return {first, first + static_cast<std::ptrdiff_t>(n)};
}

// A program of the graph with random parameters.
class Runner {
 public:
  Runner(Backend& backend, Graph graph)
      : queue_(backend.make_queue()),
        checkpoint_(graph),
        lone_(lower(optimize(std::move(graph)), backend.target(), {}), backend, *queue_, checkpoint_) {
    lone_->load();
  }
  void write(const std::string& name, const Floats& values) { lone_->write_input(name, values); }
  size_t row(const std::string& name) {
    const Shape& shape = lone_->program().input(name).ref.desc.shape;
    return static_cast<size_t>(shape.elements() / shape[0]);
  }
  // The conditioning of branches by their numbers: the same number has the same rows.
  void write_conditions(const std::vector<unsigned>& branches, const std::string& prefix = "") {
    for (const char* name : {"encoder_hidden_states", "text_embeds", "time_ids"}) {
      Floats rows;
      for (const unsigned branch : branches) append(rows, normal(row(prefix + name), 100 + branch));
      write(prefix + name, rows);
    }
  }
  Floats run(const std::string& output) {
    lone_->run_prologue();
    lone_->run();
    return lone_->read_output(output);
  }

 private:
  std::unique_ptr<Queue> queue_;
  test::RandomCheckpoint checkpoint_;
  LoneExecutable lone_;
};

class Inpainting : public ::testing::TestWithParam<std::string> {
 protected:
  static void SetUpTestSuite() { test::forbid_tf32(); }
  std::unique_ptr<Backend> backend_ = test::make_backend(GetParam());
};

constexpr float kScale = 0.7f, kGuidance = 3;

Floats step_row(int slots, const Floats& update, float threshold, float signal, float noise) {
  Floats row(static_cast<size_t>(StepLayout::length(slots)));
  row[StepLayout::kInputScale] = kScale;
  row[StepLayout::kGuidanceScale] = kGuidance;
  row[StepLayout::kBlendThreshold] = threshold;
  row[StepLayout::kBlendSignal] = signal;
  row[StepLayout::kBlendNoise] = noise;
  std::ranges::copy(update, row.begin() + StepLayout::kUpdate);
  return row;
}

// Three pictures of two slots, the second without a mask, with blending or without.
Floats blended_states(Backend& backend, bool blend, const Floats& mask, const Floats& original, const Floats& start) {
  const DenoiseGraphOptions options{.images = 3,
                                    .guided = 2,
                                    .blend = blend,
                                    .slots = 2,
                                    .unet = {.height = kHeight, .width = kWidth, .tokens = kTokens}};
  Runner runner(backend, denoise_graph(preset("tiny").unet, options));
  runner.write_conditions({0, 1, 2, 3, 4});
  runner.write("state", normal(3 * 2 * kLatent, 1));
  runner.write("noise", normal(3 * kLatent, 2));
  runner.write("timestep", {901, 401, 1});
  const Floats update = {0.9f, 0.1f, -0.3f, 0.2f, 1, 0, 0, 0};
  Floats steps;
  append(steps, step_row(2, update, 0.5f, 0.8f, 0.6f));
  append(steps, step_row(2, update, 0, 5, 5));
  append(steps, step_row(2, update, 0.25f, 1, 0));
  runner.write("step", steps);
  if (blend) {
    runner.write("original", original);
    runner.write("start_noise", start);
    runner.write("mask", mask);
  }
  return runner.run("state");
}

TEST_P(Inpainting, BlendingFollowsTheUpdate) {
  Floats mask(3 * kPixels);
  for (size_t i = 0; i < mask.size(); ++i) mask[i] = static_cast<float>(i % 5) / 4;
  const Floats original = normal(3 * kLatent, 3), start = normal(3 * kLatent, 4);
  const Floats plain = blended_states(*backend_, false, mask, original, start);
  const Floats blended = blended_states(*backend_, true, mask, original, start);
  const float thresholds[] = {0.5f, 0, 0.25f}, signals[] = {0.8f, 5, 1}, noises[] = {0.6f, 5, 0};
  size_t kept = 0;
  for (size_t n = 0; n < 3; ++n)
    for (size_t i = 0; i < 2 * kLatent; ++i) {
      const size_t at = n * 2 * kLatent + i, in_latent = n * kLatent + i;
      if (i < kLatent && mask[in_latent / 4] < thresholds[n]) {
        EXPECT_NEAR(blended[at], signals[n] * original[in_latent] + noises[n] * start[in_latent], 1e-6) << at;
        ++kept;
      } else {
        EXPECT_EQ(blended[at], plain[at]) << at;
      }
    }
  EXPECT_GT(kept, kLatent / 2);
}

UnetConfig unet_that_reads_masks() {
  UnetConfig config = preset("tiny").unet;
  config.in_channels = 9;
  return config;
}

// The prediction of the UNet alone for one branch of one picture: the oracle.
Floats predict(Backend& backend, const Floats& state, const Floats& condition, float timestep, unsigned branch) {
  Runner runner(backend, unet_graph(unet_that_reads_masks(),
                                    {.batch = 1, .height = kHeight, .width = kWidth, .tokens = kTokens}));
  runner.write_conditions({branch});
  Floats sample;
  for (size_t p = 0; p < kPixels; ++p) {
    for (size_t c = 0; c < 4; ++c) sample.push_back(kScale * state[p * 4 + c]);
    for (size_t c = 0; c < 5; ++c) sample.push_back(condition[p * 5 + c]);
  }
  runner.write("sample", sample);
  runner.write("timestep", {timestep});
  return runner.run("sample");
}

// The state becomes the guided prediction.
Floats predictions(Backend& backend, int images, int guided, bool two_passes, const Floats& state,
                   const Floats& condition, const Floats& timesteps, DType dtype = DType::f32) {
  const DenoiseGraphOptions options{.images = images,
                                    .guided = guided,
                                    .two_passes = two_passes,
                                    .unet = {.height = kHeight, .width = kWidth, .tokens = kTokens, .dtype = dtype}};
  Runner runner(backend, denoise_graph(unet_that_reads_masks(), options));
  std::vector<unsigned> negative, positive;
  for (int n = 0; n < guided; ++n) negative.push_back(static_cast<unsigned>(n));
  for (int n = 0; n < images; ++n) positive.push_back(10 + static_cast<unsigned>(n));
  if (two_passes) {
    runner.write_conditions(negative, "negative_");
    runner.write_conditions(positive);
  } else {
    negative.insert(negative.end(), positive.begin(), positive.end());
    runner.write_conditions(negative);
  }
  runner.write("state", state);
  runner.write("noise", Floats(state.size()));
  runner.write("timestep", timesteps);
  runner.write("inpaint_condition", condition);
  Floats steps;
  for (int n = 0; n < images; ++n) append(steps, step_row(1, {0, 1, 0}, 0, 1, 0));
  runner.write("step", steps);
  return runner.run("state");
}

TEST_P(Inpainting, BothBranchesReadTheMaskAndTheMaskedPicture) {
  const Floats state = normal(3 * kLatent, 1), condition = normal(3 * kPixels * 5, 2), timesteps = {901, 401, 21};
  const auto expected = [&](size_t images, size_t guided) {
    Floats all;
    for (size_t n = 0; n < images; ++n) {
      const Floats own = part(state, n, 3), masked = part(condition, n, 3);
      Floats prediction = predict(*backend_, own, masked, timesteps[n], 10 + static_cast<unsigned>(n));
      if (n < guided) {
        const Floats negative = predict(*backend_, own, masked, timesteps[n], static_cast<unsigned>(n));
        for (size_t i = 0; i < kLatent; ++i) prediction[i] = negative[i] + kGuidance * (prediction[i] - negative[i]);
      }
      append(all, prediction);
    }
    return all;
  };
  const Floats mixed = expected(3, 2), guided = expected(3, 3), plain = expected(1, 0);
  const auto found = [&](int count, int with_guidance, bool two_passes) {
    const auto images = static_cast<size_t>(count);
    return predictions(*backend_, count, with_guidance, two_passes,
                       Floats(state.begin(), state.begin() + static_cast<std::ptrdiff_t>(images * kLatent)),
                       Floats(condition.begin(), condition.begin() + static_cast<std::ptrdiff_t>(images * kPixels * 5)),
                       Floats(timesteps.begin(), timesteps.begin() + count));
  };
  EXPECT_LE(test::relative_error(found(3, 2, false), mixed), 1e-5);
  EXPECT_LE(test::relative_error(found(3, 3, false), guided), 1e-5);
  EXPECT_LE(test::relative_error(found(3, 3, true), guided), 1e-5);
  EXPECT_LE(test::relative_error(found(1, 0, false), plain), 1e-5);
  for (const DType dtype : test::compute_dtypes(GetParam()))
    EXPECT_LE(test::relative_error(predictions(*backend_, 3, 2, false, state, condition, timesteps, dtype), mixed),
              5e-2)
        << name(dtype);
}

INSTANTIATE_TEST_SUITE_P(All, Inpainting, ::testing::ValuesIn(test::backend_names()),
                         [](const auto& param_info) { return param_info.param; });

}  // namespace
}  // namespace tempera
