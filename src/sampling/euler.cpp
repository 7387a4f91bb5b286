// Euler's method on the probability flow ODE dx/dsigma = noise, and its ancestral variant, which goes below the next
// sigma and comes back up with fresh noise. Karras et al. 2022, algorithms 1 and 2; diffusers EulerDiscreteScheduler
// and EulerAncestralDiscreteScheduler.
#include <algorithm>
#include <cmath>

#include "sampling/sampler.h"
#include "sampling/sigmas.h"

namespace tempera {
namespace {

Schedule compile(const SchedulerConfig& config, const ScheduleOptions& options, bool ancestral) {
  const Ladder ladder = karras_ladder(config, options);
  const Basis basis(1);
  Schedule schedule;
  schedule.sigmas = ladder.sigmas;
  schedule.init_noise_sigma = karras_init_noise_sigma(config, ladder.sigmas);
  for (auto i = static_cast<size_t>(options.first); i < ladder.timesteps.size(); ++i) {
    const double sigma = ladder.sigmas[i];
    const double next = ladder.sigmas[i + 1];
    // The variance that fresh noise adds on arriving at `next`, and the sigma to step to before.
    const double up = ancestral ? std::sqrt(next * next * (sigma * sigma - next * next) / (sigma * sigma)) : 0;
    const double down = ancestral ? std::sqrt(next * next - up * up) : next;
    const Level level = Level::karras(sigma);
    const Linear derivative = noise_of(config.prediction_type, level, basis.slot(0), basis.prediction());
    const bool told_log_sigma = config.continuous_timesteps && config.prediction_type == PredictionType::v_prediction;
    schedule.evaluations.push_back({
        .timestep = told_log_sigma ? to_float32(0.25 * std::log(sigma)) : ladder.timesteps[i],
        .input_scale = 1 / level.scale(),
        .signal = level.signal,
        .noise = level.noise,
        .update = update_table({basis.slot(0) + (down - sigma) * derivative + up * basis.noise()}),
        .uses_noise = ancestral,
    });
  }
  return schedule;
}

}  // namespace

const Sampler& euler() {
  static const Sampler sampler = {
      .class_name = "EulerDiscreteScheduler",
      .keys = {"timestep_spacing", "steps_offset", "interpolation_type", "use_karras_sigmas", "use_exponential_sigmas",
               "use_beta_sigmas", "sigma_min", "sigma_max", "timestep_type", "rescale_betas_zero_snr",
               "final_sigmas_type"},
      .defaults = {},
      .takes_timesteps = true,
      .takes_sigmas = true,
      .compile = [](const SchedulerConfig& config, const ScheduleOptions& options) {
        return compile(config, options, false);
      }};
  return sampler;
}

const Sampler& euler_ancestral() {
  static const Sampler sampler = {.class_name = "EulerAncestralDiscreteScheduler",
                                  .keys = {"timestep_spacing", "steps_offset", "rescale_betas_zero_snr"},
                                  .defaults = {},
                                  .compile = [](const SchedulerConfig& config, const ScheduleOptions& options) {
                                    return compile(config, options, true);
                                  }};
  return sampler;
}

}  // namespace tempera
