// The levels that a sampler visits: from a config's spacing, from a schedule type, or the request's own. Sources:
// diffusers' schedulers (set_timesteps, _convert_to_karras and its siblings); Karras et al. 2022 (equation 5, rho 7).
#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "sampling/sampler.h"
#include "sampling/schedule_types.h"
#include "sampling/sigmas.h"

namespace tempera {
namespace {

// np.interp of a table given at 0, 1, 2, ...: linear, clamped at the ends.
double interpolate(const std::vector<double>& table, double x) {
  const double last = static_cast<double>(table.size() - 1);
  if (x <= 0) return table.front();
  if (x >= last) return table.back();
  const auto below = static_cast<size_t>(x);
  return table[below] + (table[below + 1] - table[below]) * (x - static_cast<double>(below));
}

bool is_respaced(const SchedulerConfig& config) {
  return config.use_karras_sigmas || config.use_lu_lambdas || config.use_exponential_sigmas || config.use_beta_sigmas;
}

// `steps` sigmas from `max` down to `min` by the config's spacing.
std::vector<double> respaced_sigmas(const SchedulerConfig& config, double min, double max, int steps) {
  min = config.sigma_min.value_or(min);
  max = config.sigma_max.value_or(max);
  if (config.use_karras_sigmas) {
    constexpr double kRho = 7;
    std::vector<double> sigmas = linspace(0, 1, steps);
    const double from = std::pow(max, 1 / kRho);
    const double to = std::pow(min, 1 / kRho);
    for (double& sigma : sigmas) sigma = std::pow(from + sigma * (to - from), kRho);
    return sigmas;
  }
  if (config.use_beta_sigmas) {  // Lee et al. 2024, "Beta Sampling is All You Need"
    std::vector<double> sigmas = linspace(0, 1, steps);
    for (double& sigma : sigmas) sigma = min + beta_quantile(1 - sigma, 0.6) * (max - min);
    return sigmas;
  }
  // Exponential; Lu's spacing with its rho of 1 is linear in lambda = -log(sigma), which is the same.
  std::vector<double> sigmas = linspace(std::log(max), std::log(min), steps);
  for (double& sigma : sigmas) sigma = std::exp(sigma);
  return sigmas;
}

void require_one_spacing(const SchedulerConfig& config) {
  if (config.use_karras_sigmas + config.use_exponential_sigmas + config.use_beta_sigmas <= 1) return;
  fail(ErrorCode::bad_file,
       "{} has more than one of use_karras_sigmas, use_exponential_sigmas and use_beta_sigmas; choose one",
       config.class_name);
}

// Where lambda_min_clipped cuts: the number of training timesteps whose lambda is not below it.
int unclipped_timesteps(const SchedulerConfig& config, const std::vector<double>& sigmas) {
  const auto is_kept = [&](double sigma) { return -std::log(sigma) >= config.lambda_min_clipped; };
  const auto kept = static_cast<int>(std::count_if(sigmas.begin(), sigmas.end(), is_kept));
  if (kept == 0) refuse(config, "lambda_min_clipped", std::to_string(config.lambda_min_clipped), "choose a lower one");
  return kept;
}

}  // namespace

std::vector<double> own_timesteps(const SchedulerConfig& config, const ScheduleOptions& options) {
  std::vector<double> timesteps(options.timesteps.begin(), options.timesteps.end());
  if (config.schedule_type == ScheduleType::none) return timesteps;
  const std::vector<double> table = sigma_table(config, alphas_cumprod(config));
  const std::vector<double> log_sigmas = logarithms(table);
  for (const double sigma : scheduled_sigmas(config.schedule_type, table, options.steps)) {
    timesteps.push_back(std::nearbyint(timestep_of_sigma(sigma, log_sigmas)));
  }
  return timesteps;
}

Ladder karras_ladder(const SchedulerConfig& config, const ScheduleOptions& options, bool round_karras) {
  require_one_spacing(config);
  const std::vector<double> table = sigma_table(config, alphas_cumprod(config));
  const std::vector<double> log_sigmas = logarithms(table);
  const auto look_up = [&](const std::vector<double>& sigmas) {
    std::vector<double> timesteps;
    for (const double sigma : sigmas) {
      const double t = timestep_of_sigma(sigma, log_sigmas);
      timesteps.push_back(config.use_karras_sigmas && round_karras ? std::nearbyint(t) : to_float32(t));
    }
    return timesteps;
  };
  Ladder ladder;
  if (!options.sigmas.empty()) {
    for (const double sigma : options.sigmas) ladder.sigmas.push_back(to_float32(sigma));
    ladder.timesteps = look_up({ladder.sigmas.begin(), ladder.sigmas.end() - 1});
    return ladder;
  }
  const int steps = options.steps;
  ladder.timesteps.assign(options.timesteps.begin(), options.timesteps.end());
  if (ladder.timesteps.empty()) {
    ladder.timesteps = spaced_timesteps(config, steps, Grid::fractional, config.num_train_timesteps);
  }
  if (config.interpolation_type == Interpolation::log_linear) {
    // One sigma more than timesteps, so that the sampler ends at the lowest of the table.
    ladder.sigmas = linspace(std::log(table.back()), std::log(table.front()), steps + 1);
    for (double& sigma : ladder.sigmas) sigma = std::exp(sigma);
  } else {
    for (const double t : ladder.timesteps) ladder.sigmas.push_back(interpolate(table, t));
  }
  if (config.schedule_type != ScheduleType::none) {
    ladder.sigmas = scheduled_sigmas(config.schedule_type, table, steps);
    ladder.timesteps = look_up(ladder.sigmas);
  } else if (is_respaced(config)) {
    ladder.sigmas = respaced_sigmas(config, ladder.sigmas.back(), ladder.sigmas.front(), steps);
    ladder.timesteps = look_up(ladder.sigmas);
  }
  ladder.sigmas.push_back(config.final_sigmas_type == FinalSigmas::sigma_min ? table.front() : 0);
  for (double& sigma : ladder.sigmas) sigma = to_float32(sigma);
  return ladder;
}

Ladder solver_ladder(const SchedulerConfig& config, const ScheduleOptions& options, SolverLadderRules rules) {
  require_one_spacing(config);
  const std::vector<double> table = sigma_table(config, alphas_cumprod(config));
  const int steps = options.steps;
  Ladder ladder;
  double last = table.front();
  const bool is_scheduled = config.schedule_type != ScheduleType::none;
  if (is_scheduled || is_respaced(config)) {
    const std::vector<double> log_sigmas = logarithms(table);
    ladder.sigmas = is_scheduled ? scheduled_sigmas(config.schedule_type, table, steps)
                                 : respaced_sigmas(config, table.front(), table.back(), steps);
    const bool rounded = (is_scheduled || config.use_karras_sigmas || config.use_lu_lambdas) &&
                         !(rules.cosine_truncates && config.beta_schedule == BetaSchedule::squaredcos_cap_v2);
    for (const double sigma : ladder.sigmas) {
      const double t = timestep_of_sigma(sigma, log_sigmas);
      ladder.timesteps.push_back(rounded ? std::nearbyint(t) : std::trunc(t));
    }
    if (rules.sigma_min_repeats_last) last = ladder.sigmas.back();
  } else {
    ladder.timesteps.assign(options.timesteps.begin(), options.timesteps.end());
    if (ladder.timesteps.empty()) {
      ladder.timesteps = spaced_timesteps(config, steps, Grid::without_end, unclipped_timesteps(config, table));
    }
    for (const double t : ladder.timesteps) ladder.sigmas.push_back(interpolate(table, t));
  }
  ladder.sigmas.push_back(config.final_sigmas_type == FinalSigmas::sigma_min ? last : 0);
  for (double& sigma : ladder.sigmas) sigma = to_float32(sigma);
  return ladder;
}

}  // namespace tempera
