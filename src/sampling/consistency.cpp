// The samplers of distilled models, which jump to the picture and noise it again: LCM (Luo et al. 2023) and TCD (Zheng
// et al. 2024, which jumps to a level between the picture and the next one, gamma being called eta). diffusers
// LCMScheduler and TCDScheduler.
#include <cmath>

#include "base/error.h"
#include "sampling/sampler.h"
#include "sampling/sigmas.h"

namespace tempera {
namespace {

// Both visit a part of the timesteps of their distillation: k - 1, 2 k - 1, ..., evenly picked from the highest down.
std::vector<double> distilled_timesteps(const SchedulerConfig& config, const ScheduleOptions& options) {
  if (std::vector<double> own = own_timesteps(config, options); !own.empty()) return own;
  const int steps = options.steps;
  const int original = config.original_inference_steps;
  if (original < 1 || original > config.num_train_timesteps) {
    fail(ErrorCode::bad_file, "{} has original_inference_steps {}; it must lie between 1 and num_train_timesteps ({})",
         config.class_name, original, config.num_train_timesteps);
  }
  require_steps_at_most(config, steps, original, "original_inference_steps of its configuration");
  const int stride = config.num_train_timesteps / original;
  std::vector<double> timesteps;
  for (int i = 0; i < steps; ++i) {
    // np.linspace without its end, then rounded down.
    const double index = std::floor(i * (static_cast<double>(original) / steps));
    timesteps.push_back((original - index) * stride - 1);
  }
  return timesteps;
}

Schedule compile_lcm(const SchedulerConfig& config, const ScheduleOptions& options) {
  const std::vector<double> timesteps = distilled_timesteps(config, options);
  const std::vector<double> alphas = alphas_cumprod(config);
  const Basis basis(config, 1);
  const Linear x = basis.slot(0);
  Schedule schedule{.slots = basis.slots()};
  for (auto i = static_cast<size_t>(options.first); i < timesteps.size(); ++i) {
    // The boundary condition of consistency models: at timestep 0 the picture is x itself.
    constexpr double kSigmaData = 0.5;
    const double scaled = timesteps[i] * config.timestep_scaling;
    const double skip = kSigmaData * kSigmaData / (scaled * scaled + kSigmaData * kSigmaData);
    const double out = scaled / std::sqrt(scaled * scaled + kSigmaData * kSigmaData);
    const Level level = Level::of_alpha(alpha_at(config, alphas, timesteps[i]));
    const Predicted now = predicted(config, basis, level);
    Linear next = out * now.picture + skip * x;
    const bool is_last = i + 1 == timesteps.size();
    if (!is_last) {
      const Level there = Level::of_alpha(alpha_at(config, alphas, timesteps[i + 1]));
      next = there.signal * next + there.noise * basis.noise();
    }
    schedule.evaluations.push_back({.timestep = timesteps[i],
                                    .signal = level.signal,
                                    .noise = level.noise,
                                    .threshold = now.threshold,
                                    .update = basis.table({next}),
                                    .uses_noise = !is_last});
  }
  return schedule;
}

Schedule compile_tcd(const SchedulerConfig& config, const ScheduleOptions& options) {
  const std::vector<double> timesteps = distilled_timesteps(config, options);
  const std::vector<double> alphas = alphas_cumprod(config);
  const Basis basis(1);
  const Linear x = basis.slot(0);
  Schedule schedule;
  for (auto i = static_cast<size_t>(options.first); i < timesteps.size(); ++i) {
    const bool is_last = i + 1 == timesteps.size();
    const double next_timestep = is_last ? 0 : timesteps[i + 1];
    const double jump = std::floor(to_float32(1 - options.eta) * next_timestep);
    const double alpha_next = alpha_at(config, alphas, next_timestep);
    const double alpha_jump = alpha_at(config, alphas, jump);
    const Level level = Level::of_alpha(alpha_at(config, alphas, timesteps[i]));
    const Level there = Level::of_alpha(alpha_jump);
    Linear next = there.signal * picture_of(config.prediction_type, level, x, basis.prediction()) +
                  there.noise * noise_of(config.prediction_type, level, x, basis.prediction());
    const bool uses_noise = options.eta > 0 && !is_last;
    if (uses_noise) {
      const double ratio = alpha_next / alpha_jump;
      next = std::sqrt(ratio) * next + std::sqrt(1 - ratio) * basis.noise();
    }
    schedule.evaluations.push_back({.timestep = timesteps[i],
                                    .signal = level.signal,
                                    .noise = level.noise,
                                    .update = update_table({next}),
                                    .uses_noise = uses_noise});
  }
  return schedule;
}

}  // namespace

const Sampler& lcm() {
  static const Sampler sampler = {.class_name = "LCMScheduler",
                                  .keys = {"timestep_spacing", "steps_offset", "original_inference_steps",
                                           "clip_sample", "thresholding", "timestep_scaling", "rescale_betas_zero_snr"},
                                  .defaults = {.beta_start = 0.00085,
                                               .beta_end = 0.012,
                                               .beta_schedule = BetaSchedule::scaled_linear,
                                               .timestep_spacing = TimestepSpacing::leading},
                                  .takes_timesteps = true,
                                  .spaces_sigmas = false,
                                  .compile = compile_lcm};
  return sampler;
}

const Sampler& tcd() {
  static const Sampler sampler = {
      .class_name = "TCDScheduler",  // accepts clip_sample and thresholding, but applies neither
      .keys = {"timestep_spacing", "steps_offset", "original_inference_steps", "rescale_betas_zero_snr"},
      .defaults = {.beta_start = 0.00085,
                   .beta_end = 0.012,
                   .beta_schedule = BetaSchedule::scaled_linear,
                   .timestep_spacing = TimestepSpacing::leading},
      .takes_timesteps = true,
      .takes_eta = true,
      .spaces_sigmas = false,
      .compile = compile_tcd};
  return sampler;
}

}  // namespace tempera
