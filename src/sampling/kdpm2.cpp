// DPM-Solver-2 of Karras et al. 2022 (algorithm 2 without churn): the derivative is taken a second time at the
// geometric mean of the two sigmas, and that one carries the whole step. The ancestral variant aims below the next
// sigma and comes back with fresh noise. The last step goes to sigma 0 by Euler's method. diffusers
// KDPM2DiscreteScheduler and KDPM2AncestralDiscreteScheduler.
#include <cmath>

#include "sampling/sampler.h"
#include "sampling/sigmas.h"

namespace tempera {
namespace {

Schedule compile(const SchedulerConfig& config, const ScheduleOptions& options, bool ancestral) {
  const Ladder ladder = karras_ladder(config, options, /*round_karras=*/true);
  const std::vector<double> log_sigmas = logarithms(sigma_table(config, alphas_cumprod(config)));
  const size_t steps = ladder.timesteps.size();
  const Basis basis(2);  // x, and x before the step
  const Linear x = basis.slot(0);
  const Linear before = basis.slot(1);
  Schedule schedule{.slots = 2, .order = 2};
  schedule.init_noise_sigma = karras_init_noise_sigma(config, ladder.sigmas);
  schedule.sigmas = {ladder.sigmas[0]};
  for (size_t i = 1; i <= steps; ++i) schedule.sigmas.insert(schedule.sigmas.end(), 2, ladder.sigmas[i]);
  schedule.sigmas.push_back(ladder.sigmas[steps]);

  for (auto i = static_cast<size_t>(options.first) / 2; i < steps; ++i) {
    const double sigma = ladder.sigmas[i];
    const double next = ladder.sigmas[i + 1];
    const double up = ancestral ? std::sqrt(next * next * (sigma * sigma - next * next) / (sigma * sigma)) : 0;
    const double down = ancestral ? std::sqrt(next * next - up * up) : next;
    const bool is_last = i + 1 == steps;
    const double middle = is_last ? 0 : to_float32(std::sqrt(sigma * down));
    const Level here = Level::karras(sigma);
    const Level there = Level::karras(middle);
    const Linear slope = noise_of(config.prediction_type, here, x, basis.prediction());
    schedule.evaluations.push_back({.timestep = ladder.timesteps[i],
                                    .input_scale = 1 / here.scale(),
                                    .signal = here.signal,
                                    .noise = here.noise,
                                    .update = update_table({x + (middle - sigma) * slope, x})});
    if (is_last) break;
    const Linear slope_there = noise_of(config.prediction_type, there, x, basis.prediction());
    schedule.evaluations.push_back(
        {.timestep = to_float32(timestep_of_sigma(middle, log_sigmas)),
         .input_scale = 1 / there.scale(),
         .signal = there.signal,
         .noise = there.noise,
         .update = update_table({before + (down - sigma) * slope_there + up * basis.noise(), before}),
         .uses_noise = ancestral});
  }
  return schedule;
}

}  // namespace

const Sampler& kdpm2() {
  static const Sampler sampler = {
      .class_name = "KDPM2DiscreteScheduler",
      .keys = {"timestep_spacing", "steps_offset", "use_karras_sigmas", "use_exponential_sigmas", "use_beta_sigmas"},
      .defaults = {.beta_start = 0.00085, .beta_end = 0.012},
      .compile = [](const SchedulerConfig& config, const ScheduleOptions& options) {
        return compile(config, options, false);
      }};
  return sampler;
}

const Sampler& kdpm2_ancestral() {
  static const Sampler sampler = {
      .class_name = "KDPM2AncestralDiscreteScheduler",
      .keys = {"timestep_spacing", "steps_offset", "use_karras_sigmas", "use_exponential_sigmas", "use_beta_sigmas"},
      .defaults = {.beta_start = 0.00085, .beta_end = 0.012},
      .compile = [](const SchedulerConfig& config, const ScheduleOptions& options) {
        return compile(config, options, true);
      }};
  return sampler;
}

}  // namespace tempera
