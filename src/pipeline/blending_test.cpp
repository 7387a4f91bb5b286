// The noise levels and thresholds of blending, against the formulas.
#include "pipeline/blending.h"

#include <gtest/gtest.h>

namespace tempera {
namespace {

Schedule euler(int steps) {
  return make_schedule(scheduler_config("euler"), steps);
}

TEST(BlendStep, HasTheNoiseOfTheNextEvaluation) {
  const Schedule schedule = euler(4);
  for (const Blending blending : {Blending::hard, Blending::soft}) {
    for (size_t i = 0; i < 3; ++i) {
      const BlendStep step = blend_step(blending, schedule, i);
      EXPECT_EQ(step.signal, 1) << "Euler's samples are picture + sigma noise";
      EXPECT_EQ(step.noise, schedule.sigmas[i + 1]);
      EXPECT_GT(step.noise, 0);
    }
    EXPECT_EQ(blend_step(blending, schedule, 3).signal, 1);
    EXPECT_EQ(blend_step(blending, schedule, 3).noise, 0);
  }
}

TEST(BlendStep, FreesGreyPixelsStepByStep) {
  const Schedule schedule = euler(4);
  const auto is_free = [&](float grey, size_t i) {
    return grey >= static_cast<float>(blend_step(Blending::soft, schedule, i).threshold);
  };
  for (size_t i = 0; i < 4; ++i) {
    EXPECT_TRUE(is_free(1, i)) << i;
    EXPECT_FALSE(is_free(0, i)) << i;
    EXPECT_EQ(is_free(0.5f, i), i >= 2) << i;
    EXPECT_EQ(is_free(0.49f, i), i >= 3) << i;
    EXPECT_EQ(blend_step(Blending::hard, schedule, i).threshold, 0.5);
    EXPECT_EQ(blend_step(Blending::none, schedule, i).threshold, 0);
  }
}

// Two schedules with one mask, as one.
TEST(BlendStep, ContinuesInTheNextPass) {
  const Schedule whole = euler(10);
  Schedule base = whole, refiner = whole;
  base.evaluations.resize(8);
  refiner.evaluations.erase(refiner.evaluations.begin(), refiner.evaluations.begin() + 8);
  const Evaluation& next = whole.evaluations[8];
  for (size_t i = 0; i < 10; ++i) {
    const BlendStep all = blend_step(Blending::soft, whole, i);
    const BlendStep part = i < 8 ? blend_step(Blending::soft, base, i, {0, 2, next.signal, next.noise})
                                 : blend_step(Blending::soft, refiner, i - 8, {.before = 8});
    EXPECT_EQ(part.threshold, all.threshold) << i;
    EXPECT_EQ(part.signal, all.signal) << i;
    EXPECT_EQ(part.noise, all.noise) << i;
  }
}

// Greys are bytes / 255 in float. Where one is equal to a threshold, it is free.
TEST(BlendStep, ThresholdsMeetTheGreysOfBytes) {
  for (const int steps : {3, 5, 15, 17, 51}) {
    const Schedule schedule = euler(steps);
    for (int i = 0; i < steps; ++i) {
      if ((steps - i) * 255 % steps != 0) continue;
      const int byte = (steps - i) * 255 / steps;
      EXPECT_EQ(static_cast<float>(byte) / 255,
                static_cast<float>(blend_step(Blending::soft, schedule, static_cast<size_t>(i)).threshold))
          << i << " of " << steps;
    }
  }
}

}  // namespace
}  // namespace tempera
