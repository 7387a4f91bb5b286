// Sampling: a sampler is compiled for one request to a table of linear updates, in double precision and without
// tensors. The values that a sampler keeps between evaluations of the model (earlier predictions, the sample before a
// half step) are a few latents, the slots. Slot 0 is the sample. After each evaluation of the model follows one
// linear map
//
//   slot'[k] = sum over j of update[k][j] slot[j] + update[k][slots] prediction + update[k][slots + 1] noise
//
// with coefficients that are known before the first step. So one n-ary axpy kernel runs every sampler, on every device.
// One thing depends on the data: the range of dynamic thresholding. It has an operation of its own (Threshold), which
// writes a slot before the linear map.
//
//   Schedule schedule = make_schedule(scheduler_config("dpmpp_2m_karras"), 25);
//   slot[0] = schedule.init_noise_sigma * gaussian;
//   for (const Evaluation& e : schedule.evaluations) {
//     prediction = model(e.input_scale * slot[0], e.timestep);
//     if (e.threshold) slot[e.threshold->slot] = the thresholded picture;
//     if (e.uses_noise) generator.normal(noise);
//     slots = e.update applied to (slots, prediction, noise);
//   }
//   slot[0] is the picture's latent.
//
// The formulas are those of diffusers' schedulers (src/diffusers/schedulers at 58eb52c), and the results are equal.
// There are two deliberate differences:
// 1. timestep_spacing "trailing" always gives the requested number of steps (np.arange gives one more for a few
//    numbers, 61 for example).
// 2. LMS that starts in the middle uses the order that its history allows.
//
// Layers: config.h (the configuration) -> sigmas.h (noise levels) -> one file per sampler family, each a row of
// registry.cpp -> Schedule. rng.h makes the noise.
#pragma once

#include <cstddef>
#include <optional>
#include <vector>

#include "sampling/config.h"

namespace tempera {

// Dynamic thresholding (Saharia et al. 2022, section 2.3; diffusers _threshold_sample). The predicted picture is
//   picture = of_sample * slot 0 + of_prediction * prediction.
// Its range s is the quantile `ratio` of |picture| over all its elements (linear between two neighbours), at least 1
// and at most `max`. Slot `slot` becomes picture limited to [-s, s], divided by s.
struct Threshold {
  int slot = 0;  // not 0
  double of_sample = 0, of_prediction = 0;
  double ratio = 1, max = 1;
};

// One evaluation of the model and the update that follows it.
struct Evaluation {
  double timestep = 0;     // the model's input (scheduler.timesteps[i])
  double input_scale = 1;  // the model's input is input_scale * slot 0 (scale_model_input)

  // Slot 0 at this point is signal * picture + noise * gaussian: the coefficients of add_noise for starting here.
  double signal = 1;
  double noise = 0;

  // Before the update: the picture in a slot, for the samplers that work on a thresholded one. All evaluations of a
  // schedule have it, or none.
  std::optional<Threshold> threshold = {};

  // slots x (slots + 2) coefficients, row by row. Column `slots` is the prediction, column slots + 1 fresh noise. All
  // rows read the slots before the update. The initial values of slots other than 0 are any finite numbers.
  std::vector<double> update = {};
  // Whether diffusers draws noise here. The generator must advance even where the coefficients of the noise are 0.
  bool uses_noise = false;
};

struct Schedule {
  int slots = 1;
  int order = 1;  // evaluations per step; 2 for Heun and KDPM2, whose last step has only one
  int num_train_timesteps = 1000;
  double init_noise_sigma = 1;      // slot 0 starts as this times noise of variance 1
  std::vector<double> sigmas = {};  // scheduler.sigmas; empty for the samplers that have none
  std::vector<Evaluation> evaluations = {};

  bool thresholds() const { return !evaluations.empty() && evaluations[0].threshold.has_value(); }

  // update[row][column] of evaluation i.
  double coefficient(size_t i, int row, int column) const {
    const size_t columns = static_cast<size_t>(slots) + 2;
    return evaluations[i].update[static_cast<size_t>(row) * columns + static_cast<size_t>(column)];
  }
};

struct ScheduleOptions {
  static constexpr int kMaxSteps = 10000;

  int steps = 50;  // num_inference_steps, 1 to kMaxSteps (less for some samplers)
  double eta = 0;  // DDIM and TCD, 0 to 1: the part of fresh noise. StableDiffusionXLPipeline's default is 0, that of
                   // TCDScheduler.step alone 0.3
  int first = 0;   // evaluations left out at the beginning (set_begin_index): picture to picture starts in the middle

  // Own levels, at most one of the two (set_timesteps of diffusers). Then `steps` is their number of steps.
  std::vector<int> timesteps = {};  // of the evaluations, decreasing, below num_train_timesteps
  std::vector<double> sigmas = {};  // of the evaluations, decreasing, then the one at the end, usually 0

  // The number of steps of the own levels, 0 without any.
  int own_steps() const {
    if (!timesteps.empty()) return static_cast<int>(timesteps.size());
    return sigmas.empty() ? 0 : static_cast<int>(sigmas.size()) - 1;
  }
};

// Compiles a sampler. Throws Error(invalid_argument) with the range when a number is outside of it, or when this
// sampler cannot make so many steps or does not read own timesteps, own sigmas or eta; Error(bad_file) for a value of
// the config that it does not support.
Schedule make_schedule(const SchedulerConfig& config, const ScheduleOptions& options);

inline Schedule make_schedule(const SchedulerConfig& config, int num_inference_steps) {
  return make_schedule(config, ScheduleOptions{.steps = num_inference_steps});
}

// Keeps the beginning of a schedule, as StableDiffusionXLPipeline does for denoising_end: the evaluations whose
// timestep is at least round(num_train_timesteps * (1 - denoising_end)). Values not between 0 and 1 keep all, as there.
Schedule truncate(Schedule schedule, double denoising_end);

}  // namespace tempera
