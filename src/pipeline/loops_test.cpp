#include "pipeline/loops.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "sampling/names.h"

namespace tempera {
namespace {

using testing::HasSubstr;

struct Made {
  Request request = {};
  bool picture = false, mask = false;
  int channels = 4;
  const ModelConfig* refiner = nullptr;
  std::string sampler = "euler";

  std::vector<Loop> operator()() const {
    ModelConfig model = sdxl_base();
    model.unet.in_channels = channels;
    Request r = request;
    if (!r.guidance_scale) r.guidance_scale = 5;
    if (picture && !r.denoising_start && !r.strength) r.strength = 0.9;
    const LoopInputs inputs{&model, refiner, picture, mask, 1024, 768};
    return make_loops(r, inputs, scheduler_config(sampler), {.steps = r.num_inference_steps.value_or(10)});
  }

  std::string error() const {
    try {
      (*this)();
    } catch (const Error& error) {
      return std::string(error.what());
    }
    return "no error";
  }
};

size_t evaluations(const Loop& loop) {
  return loop.schedule.evaluations.size();
}

TEST(Loops, TextToPictureIsOnePassFromNoise) {
  const std::vector<Loop> loops = Made{}();
  ASSERT_EQ(loops.size(), 1u);
  EXPECT_EQ(loops[0].start, LoopStart::noise);
  EXPECT_EQ(evaluations(loops[0]), 10u);
  EXPECT_EQ(loops[0].latent_width, 128);
  EXPECT_EQ(loops[0].latent_height, 96);
  EXPECT_FALSE(loops[0].reads_picture());
}

// diffusers get_timesteps: int(10 x 0.6) steps, from the end of the schedule.
TEST(Loops, StrengthIsTheLastPartOfTheSchedule) {
  const Schedule whole = make_schedule(scheduler_config("euler"), 10);
  const struct {
    double strength;
    size_t steps;
  } cases[] = {{0.6, 6}, {0.11, 1}, {0.3, 3}, {0.99, 9}, {1, 10}};
  for (const auto& [strength, steps] : cases) {
    const Loop loop = Made{.request = {.strength = strength}, .picture = true}().front();
    EXPECT_EQ(loop.start, LoopStart::picture) << strength;
    ASSERT_EQ(evaluations(loop), steps) << strength;
    EXPECT_EQ(loop.schedule.evaluations[0].timestep, whole.evaluations[10 - steps].timestep);
    EXPECT_EQ(loop.schedule.evaluations[0].noise, whole.evaluations[10 - steps].noise);
  }
}

// Steps of samplers of the second order are two evaluations, the last one is one.
TEST(Loops, StrengthKeepsWholeSteps) {
  for (const char* sampler : {"heun", "kdpm2"}) {
    const Loop loop = Made{.request = {.strength = 0.4}, .picture = true, .sampler = sampler}().front();
    EXPECT_EQ(evaluations(loop), 7u) << sampler;
  }
}

TEST(Loops, MasksAreBlendedOrRead) {
  const Loop hard = Made{.picture = true, .mask = true}().front();
  EXPECT_EQ(hard.blending, Blending::hard);
  EXPECT_FALSE(hard.reads_mask);
  EXPECT_EQ(Made({.request = {.mask_mode = "soft"}, .picture = true, .mask = true})().front().blending, Blending::soft);
  const Loop read = Made{.request = {.strength = 1}, .picture = true, .mask = true, .channels = 9}().front();
  EXPECT_EQ(read.blending, Blending::none);
  EXPECT_TRUE(read.reads_mask);
  EXPECT_EQ(read.start, LoopStart::noise);
  EXPECT_FALSE(read.reads_picture());
}

// StableDiffusionXLPipeline with denoising_end and the refiner with denoising_start share the schedule.
TEST(Loops, TheRefinerDrawsTheEnd) {
  const ModelConfig refiner = sdxl_refiner();
  for (const double start : {0.2, 0.5, 0.8}) {
    const std::vector<Loop> loops = Made{.request = {.refiner_start = start}, .refiner = &refiner}();
    ASSERT_EQ(loops.size(), 2u);
    EXPECT_EQ(evaluations(loops[0]) + evaluations(loops[1]), 10u) << start;
    EXPECT_EQ(loops[1].start, LoopStart::latents);
    EXPECT_TRUE(loops[1].refiner);
    EXPECT_GE(loops[0].schedule.evaluations.back().timestep, 1000 * (1 - start));
    EXPECT_LT(loops[1].schedule.evaluations.front().timestep, 1000 * (1 - start));
  }
  EXPECT_EQ(Made({.refiner = &refiner})().front().schedule.evaluations.size(), 8u);  // 0.8
  EXPECT_EQ(Made({.request = {.refiner_start = 1}, .refiner = &refiner})().size(), 1u);
  const std::vector<Loop> all = Made{.request = {.refiner_start = 0}, .refiner = &refiner}();
  ASSERT_EQ(all.size(), 1u);
  EXPECT_TRUE(all[0].refiner);
  EXPECT_EQ(all[0].start, LoopStart::noise);
}

// As diffusers: an even rest of a sampler of the second order is one evaluation longer.
TEST(Loops, TheRefinerStartsWithAWholeStep) {
  const ModelConfig refiner = sdxl_refiner();
  const std::vector<Loop> loops = Made{.refiner = &refiner, .sampler = "heun"}();
  ASSERT_EQ(loops.size(), 2u);
  EXPECT_EQ(evaluations(loops[1]) % 2, 1u);
}

TEST(Loops, TheRefinerReadsItsNegativePrompt) {
  const ModelConfig refiner = sdxl_refiner();
  const std::vector<Loop> loops = Made{.refiner = &refiner}();
  EXPECT_TRUE(loops[0].zero_negative);
  EXPECT_FALSE(loops[1].zero_negative);
}

TEST(Loops, TheSecondPassIsLarger) {
  const std::vector<Loop> loops =
      Made{.request = {.num_inference_steps = 7, .hires_scale = 1.5, .hires_strength = 0.5, .hires_steps = 10}}();
  ASSERT_EQ(loops.size(), 2u);
  EXPECT_EQ(evaluations(loops[0]), 7u);
  EXPECT_EQ(evaluations(loops[1]), 5u);
  EXPECT_TRUE(loops[1].enlarges);
  EXPECT_EQ(loops[1].start, LoopStart::picture);
  EXPECT_EQ(loops[1].width, 1536);
  EXPECT_EQ(loops[1].height, 1152);
  const Loop sized = Made{.request = {.hires_size = std::array{1280, 960}}}().back();
  EXPECT_EQ(sized.width, 1280);
  EXPECT_EQ(evaluations(sized), 7u);  // 0.7 of 10
}

// A refiner draws the end of the last loop: of all of it if the loop begins after refiner_start.
TEST(Loops, TheRefinerFollowsTheSecondPass) {
  const ModelConfig refiner = sdxl_refiner();
  const std::vector<Loop> three = Made{.request = {.hires_scale = 2, .hires_strength = 0.5}, .refiner = &refiner}();
  ASSERT_EQ(three.size(), 3u);
  EXPECT_EQ(evaluations(three[0]), 10u);
  EXPECT_EQ(evaluations(three[1]) + evaluations(three[2]), 5u);
  EXPECT_EQ(three[2].width, 2048);
  const std::vector<Loop> two = Made{.request = {.hires_scale = 2, .hires_strength = 0.1}, .refiner = &refiner}();
  ASSERT_EQ(two.size(), 2u);
  EXPECT_TRUE(two[1].refiner);
  EXPECT_TRUE(two[1].enlarges);
  EXPECT_EQ(two[1].start, LoopStart::picture);
}

TEST(Loops, AHandoverContinuesTheSchedule) {
  const Loop loop = Made{.request = {.denoising_start = 0.8}, .picture = true}().front();
  EXPECT_EQ(loop.start, LoopStart::latents);
  EXPECT_EQ(evaluations(loop), 2u);
  EXPECT_EQ(evaluations(Made({.request = {.denoising_end = 0.8}})().front()), 8u);
}

TEST(Loops, PartsWithoutStepsAreMistakes) {
  EXPECT_THAT(Made({.request = {.strength = 0.05}, .picture = true}).error(), HasSubstr("leaves no step"));
  EXPECT_THAT(Made({.request = {.hires_scale = 2, .hires_strength = 0.01}}).error(), HasSubstr("hires_strength"));
  EXPECT_THAT(Made({.request = {.denoising_start = 0.9999}, .picture = true}).error(), HasSubstr("denoising_start"));
  EXPECT_THAT(Made({.request = {.denoising_end = 0.001}}).error(), HasSubstr("denoising_end"));
}

}  // namespace
}  // namespace tempera
