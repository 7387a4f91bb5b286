// The samplers of EDM models, whose network is preconditioned with the standard deviation of the data (Karras et al.
// 2022, table 1): its input is c_in x, its timestep log(sigma) / 4, and the picture is c_skip x + c_out prediction.
// Euler's method, and the multistep DPM-Solver++. diffusers EDMEulerScheduler and EDMDPMSolverMultistepScheduler.
#include <cmath>

#include "base/error.h"
#include "sampling/dpmsolver.h"

namespace tempera {
namespace {

double input_scale(const SchedulerConfig& config, Level level) {
  return 1 / std::hypot(level.noise, config.sigma_data);
}

Predicted edm_predicted(const SchedulerConfig& config, const Basis& basis, Level level) {
  const double scale = input_scale(config, level);
  const double skip = config.sigma_data * scale * config.sigma_data * scale;
  const double sign = config.prediction_type == PredictionType::v_prediction ? -1 : 1;
  const double out = sign * level.noise * config.sigma_data * scale;
  return predicted_from(skip * basis.slot(0) + out * basis.prediction(), basis, level);
}

Ladder edm_ladder(const SchedulerConfig& config, int steps, double last) {
  if (config.prediction_type == PredictionType::sample) {
    refuse(config, "prediction_type", "sample", "choose epsilon or v_prediction");
  }
  const double min = *config.sigma_min;
  const double max = *config.sigma_max;
  if (!(config.sigma_data > 0) || !(config.rho > 0) || !(min < max)) {
    fail(ErrorCode::bad_file,
         "{} has sigma_data {}, rho {}, sigma_min {} and sigma_max {}; all must be positive, and sigma_min below "
         "sigma_max",
         config.class_name, config.sigma_data, config.rho, min, max);
  }
  Ladder ladder;
  if (config.sigma_schedule == SigmaSchedule::karras) {
    ladder.sigmas = linspace(0, 1, steps);
    const double from = std::pow(max, 1 / config.rho);
    const double to = std::pow(min, 1 / config.rho);
    for (double& sigma : ladder.sigmas) sigma = std::pow(from + sigma * (to - from), config.rho);
  } else {
    // torch.linspace from the lowest: one step alone has the lowest sigma.
    ladder.sigmas = steps == 1 ? std::vector<double>{std::log(min)} : linspace(std::log(max), std::log(min), steps);
    for (double& sigma : ladder.sigmas) sigma = std::exp(sigma);
  }
  for (double& sigma : ladder.sigmas) {
    sigma = to_float32(sigma);
    ladder.timesteps.push_back(to_float32(0.25 * std::log(sigma)));
  }
  ladder.sigmas.push_back(config.final_sigmas_type == FinalSigmas::zero ? 0 : to_float32(last));
  return ladder;
}

double init_noise_sigma(const SchedulerConfig& config) {
  return std::hypot(*config.sigma_max, 1);
}

Schedule compile_euler(const SchedulerConfig& config, const ScheduleOptions& options) {
  Ladder ladder = edm_ladder(config, options.steps, *config.sigma_min);
  const Basis basis(1);
  Schedule schedule;
  schedule.sigmas = ladder.sigmas;
  schedule.init_noise_sigma = init_noise_sigma(config);
  for (auto i = static_cast<size_t>(options.first); i < ladder.timesteps.size(); ++i) {
    const Level level = Level::karras(ladder.sigmas[i]);
    const Linear slope = edm_predicted(config, basis, level).noise;
    schedule.evaluations.push_back(
        {.timestep = ladder.timesteps[i],
         .input_scale = input_scale(config, level),
         .signal = level.signal,
         .noise = level.noise,
         .update = update_table({basis.slot(0) + (ladder.sigmas[i + 1] - ladder.sigmas[i]) * slope})});
  }
  return schedule;
}

Schedule compile_multistep(const SchedulerConfig& config, const ScheduleOptions& options) {
  const DpmSettings settings = dpm_settings(config);
  if (settings.algorithm == DpmAlgorithm::noise || settings.algorithm == DpmAlgorithm::noise_sde) {
    refuse(config, "algorithm_type", config.algorithm_type, "choose dpmsolver++ or sde-dpmsolver++");
  }
  const Ladder ladder = edm_ladder(config, options.steps, *config.sigma_min);
  std::vector<Level> levels;
  for (const double sigma : ladder.sigmas) levels.push_back(Level::karras(sigma));
  Schedule schedule = dpm_multistep({.config = config,
                                     .settings = settings,
                                     .ladder = ladder,
                                     .levels = levels,
                                     .predicted = edm_predicted,
                                     .input_scale = input_scale},
                                    options.first);
  schedule.init_noise_sigma = init_noise_sigma(config);
  return schedule;
}

}  // namespace

const Sampler& edm_euler() {
  static const Sampler sampler = {
      .class_name = "EDMEulerScheduler",
      .keys = {"sigma_min", "sigma_max", "sigma_data", "sigma_schedule", "rho", "final_sigmas_type"},
      .defaults = {.sigma_min = 0.002, .sigma_max = 80.0},
      .compile = compile_euler};
  return sampler;
}

const Sampler& edm_dpmsolver_multistep() {
  static const Sampler sampler = {
      .class_name = "EDMDPMSolverMultistepScheduler",
      .keys = {"sigma_min", "sigma_max", "sigma_data", "sigma_schedule", "rho", "final_sigmas_type", "solver_order",
               "thresholding", "algorithm_type", "solver_type", "lower_order_final", "euler_at_final"},
      .defaults = {.sigma_min = 0.002, .sigma_max = 80.0, .algorithm_type = "dpmsolver++", .solver_type = "midpoint"},
      .compile = compile_multistep};
  return sampler;
}

}  // namespace tempera
