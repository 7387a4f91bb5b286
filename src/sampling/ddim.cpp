// DDIM: the picture is predicted and noised again to the next level, with the predicted noise and, for eta > 0, a part
// of fresh noise. Song et al. 2020, equation 12; diffusers DDIMScheduler.
#include <cmath>

#include "sampling/sampler.h"
#include "sampling/sigmas.h"

namespace tempera {
namespace {

Schedule compile(const SchedulerConfig& config, const ScheduleOptions& options) {
  require_steps_at_most(config, options.steps, config.num_train_timesteps, "the model has no more timesteps");
  const std::vector<double> alphas = alphas_cumprod(config);
  const double final_alpha = config.set_alpha_to_one ? 1.0 : alphas.front();
  const std::vector<double> timesteps =
      spaced_timesteps(config, options.steps, Grid::whole, config.num_train_timesteps);
  const int stride = config.num_train_timesteps / options.steps;
  const Basis basis(config, 1);
  const Linear x = basis.slot(0);
  Schedule schedule{.slots = basis.slots()};
  for (auto i = static_cast<size_t>(options.first); i < timesteps.size(); ++i) {
    const double t = timesteps[i];
    const double alpha = alpha_at(config, alphas, t);
    // Where the step leads does not depend on the next timestep visited, which trailing spacing may round differently.
    const double alpha_next = t - stride >= 0 ? alpha_at(config, alphas, t - stride) : final_alpha;
    const double variance = (1 - alpha_next) / (1 - alpha) * (1 - alpha / alpha_next);
    const double fresh = options.eta * std::sqrt(variance);
    const Level level = Level::of_alpha(alpha);
    // Thresholding changes the picture only, not the noise.
    const Linear predicted = picture_of(config.prediction_type, level, x, basis.prediction());
    const Linear picture = basis.thresholded(predicted);
    const Linear noise = noise_of(config.prediction_type, level, x, basis.prediction());
    schedule.evaluations.push_back({
        .timestep = t,
        .signal = level.signal,
        .noise = level.noise,
        .threshold = basis.threshold(predicted),
        .update = basis.table({std::sqrt(alpha_next) * picture + std::sqrt(1 - alpha_next - fresh * fresh) * noise +
                               fresh * basis.noise()}),
        .uses_noise = options.eta > 0,
    });
  }
  return schedule;
}

}  // namespace

const Sampler& ddim() {
  static const Sampler sampler = {.class_name = "DDIMScheduler",
                                  .keys = {"timestep_spacing", "steps_offset", "clip_sample", "set_alpha_to_one",
                                           "thresholding", "rescale_betas_zero_snr"},
                                  .defaults = {.timestep_spacing = TimestepSpacing::leading},
                                  .takes_eta = true,
                                  .spaces_sigmas = false,
                                  .compile = compile};
  return sampler;
}

}  // namespace tempera
