// DDPM: the posterior of the forward process given the predicted picture, its variance filled with fresh noise. Ho et
// al. 2020, equations 6 and 7; diffusers DDPMScheduler.
#include <algorithm>
#include <cmath>

#include "sampling/sampler.h"
#include "sampling/sigmas.h"

namespace tempera {
namespace {

// The factor of the fresh noise. `beta` is that of the step from one visited timestep to the next.
double noise_factor(const SchedulerConfig& config, double alpha, double alpha_next, double beta) {
  const double variance = std::max((1 - alpha_next) / (1 - alpha) * beta, 1e-20);
  if (config.variance_type == "fixed_small" || config.variance_type == "fixed_small_log") return std::sqrt(variance);
  if (config.variance_type == "fixed_large") return std::sqrt(beta);
  refuse(config, "variance_type", config.variance_type, "choose fixed_small, fixed_small_log or fixed_large");
}

Schedule compile(const SchedulerConfig& config, const ScheduleOptions& options) {
  require_steps_at_most(config, options.steps, config.num_train_timesteps, "the model has no more timesteps");
  const std::vector<double> alphas = alphas_cumprod(config);
  std::vector<double> timesteps = own_timesteps(config, options);
  if (timesteps.empty()) {
    timesteps = spaced_timesteps(config, options.steps, Grid::whole, config.num_train_timesteps);
  }
  const Basis basis(config, 1);
  const Linear x = basis.slot(0);
  Schedule schedule{.slots = basis.slots()};
  for (auto i = static_cast<size_t>(options.first); i < timesteps.size(); ++i) {
    const double alpha = alpha_at(config, alphas, timesteps[i]);
    const double alpha_next = i + 1 < timesteps.size() ? alpha_at(config, alphas, timesteps[i + 1]) : 1.0;
    const double alpha_step = alpha / alpha_next;
    const double beta = 1 - alpha_step;
    const Level level = Level::of_alpha(alpha);
    const Linear picture = picture_of(config.prediction_type, level, x, basis.prediction());
    Linear next = std::sqrt(alpha_next) * beta / (1 - alpha) * basis.thresholded(picture) +
                  std::sqrt(alpha_step) * (1 - alpha_next) / (1 - alpha) * x;
    const bool uses_noise = timesteps[i] > 0;
    if (uses_noise) next = next + noise_factor(config, alpha, alpha_next, beta) * basis.noise();
    schedule.evaluations.push_back({.timestep = timesteps[i],
                                    .signal = level.signal,
                                    .noise = level.noise,
                                    .threshold = basis.threshold(picture),
                                    .update = basis.table({next}),
                                    .uses_noise = uses_noise});
  }
  return schedule;
}

}  // namespace

const Sampler& ddpm() {
  static const Sampler sampler = {
      .class_name = "DDPMScheduler",
      .keys = {"timestep_spacing", "steps_offset", "variance_type", "clip_sample", "thresholding",
               "rescale_betas_zero_snr"},
      .defaults = {.timestep_spacing = TimestepSpacing::leading, .variance_type = "fixed_small"},
      .takes_timesteps = true,
      .spaces_sigmas = false,
      .compile = compile};
  return sampler;
}

}  // namespace tempera
