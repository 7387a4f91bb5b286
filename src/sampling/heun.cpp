// Heun's method: a step of Euler to the next sigma, then the step again with the mean of the derivatives at both ends.
// The last step goes to sigma 0, where there is no second derivative. Karras et al. 2022, algorithm 1; diffusers
// HeunDiscreteScheduler.
#include "sampling/sampler.h"
#include "sampling/sigmas.h"

namespace tempera {
namespace {

Schedule compile(const SchedulerConfig& config, const ScheduleOptions& options) {
  const Ladder ladder = karras_ladder(config, options);
  const size_t steps = ladder.timesteps.size();
  const Basis basis(2);  // x, and x before the step
  const Linear x = basis.slot(0);
  const Linear before = basis.slot(1);
  Schedule schedule{.slots = 2, .order = 2};
  schedule.init_noise_sigma = karras_init_noise_sigma(config, ladder.sigmas);
  schedule.sigmas = {ladder.sigmas[0]};
  for (size_t i = 1; i < steps; ++i) schedule.sigmas.insert(schedule.sigmas.end(), 2, ladder.sigmas[i]);
  schedule.sigmas.push_back(ladder.sigmas[steps]);

  for (auto i = static_cast<size_t>(options.first) / 2; i < steps; ++i) {
    const double sigma = ladder.sigmas[i];
    const double next = ladder.sigmas[i + 1];
    const Level here = Level::karras(sigma);
    const Level there = Level::karras(next);
    const Linear slope = noise_of(config.prediction_type, here, x, basis.prediction());
    schedule.evaluations.push_back({.timestep = ladder.timesteps[i],
                                    .input_scale = 1 / here.scale(),
                                    .signal = here.signal,
                                    .noise = here.noise,
                                    .update = update_table({x + (next - sigma) * slope, x})});
    if (i + 1 == steps) break;
    // x = before + (next - sigma) * first slope, so half of that slope's step is (x - before) / 2.
    const Linear slope_there = noise_of(config.prediction_type, there, x, basis.prediction());
    schedule.evaluations.push_back(
        {.timestep = ladder.timesteps[i + 1],
         .input_scale = 1 / there.scale(),
         .signal = there.signal,
         .noise = there.noise,
         .update = update_table({0.5 * (before + x) + 0.5 * (next - sigma) * slope_there, before})});
  }
  return schedule;
}

}  // namespace

const Sampler& heun() {
  static const Sampler sampler = {.class_name = "HeunDiscreteScheduler",
                                  .keys = {"timestep_spacing", "steps_offset", "use_karras_sigmas",
                                           "use_exponential_sigmas", "use_beta_sigmas", "clip_sample"},
                                  .defaults = {.beta_start = 0.00085, .beta_end = 0.012},
                                  .takes_timesteps = true,
                                  .compile = compile};
  return sampler;
}

}  // namespace tempera
