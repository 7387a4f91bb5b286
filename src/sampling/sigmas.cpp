// Sources: diffusers' schedulers (betas, spacings, _convert_to_karras and its siblings, _sigma_to_t); Karras et al.
// 2022 (equation 5, rho 7); Lin et al. 2023, "Common diffusion noise schedules and sample steps are flawed" (zero
// terminal SNR); PyTorch 2 for the order of the float32 operations.
#include "sampling/sigmas.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "base/error.h"
#include "sampling/sampler.h"

namespace tempera {
namespace {

// torch.linspace of float32 values: from both ends towards the middle, one fused multiply and add each.
std::vector<float> linspace_float32(float start, float end, int count) {
  std::vector<float> values(static_cast<size_t>(count), start);
  const float step = count > 1 ? (end - start) / static_cast<float>(count - 1) : 0.0f;
  for (int i = 0; i < count; ++i) {
    values[static_cast<size_t>(i)] = i < count / 2 ? std::fma(step, static_cast<float>(i), start)
                                                   : std::fma(-step, static_cast<float>(count - 1 - i), end);
  }
  if (count == 1) values[0] = start;
  return values;
}

std::vector<float> training_betas(const SchedulerConfig& config) {
  const int count = config.num_train_timesteps;
  std::vector<float> betas;
  if (!config.trained_betas.empty()) {
    for (const double beta : config.trained_betas) betas.push_back(static_cast<float>(beta));
    return betas;
  }
  switch (config.beta_schedule) {
    case BetaSchedule::linear:
      return linspace_float32(static_cast<float>(config.beta_start), static_cast<float>(config.beta_end), count);
    case BetaSchedule::scaled_linear:
      betas = linspace_float32(static_cast<float>(std::sqrt(config.beta_start)),
                               static_cast<float>(std::sqrt(config.beta_end)), count);
      for (float& beta : betas) beta = static_cast<float>(static_cast<double>(beta) * static_cast<double>(beta));
      return betas;
    case BetaSchedule::squaredcos_cap_v2:
      // Nichol and Dhariwal 2021: alpha_bar(t) = cos^2((t + 0.008) / 1.008 * pi / 2), each beta at most 0.999.
      const auto alpha_bar = [](double t) {
        const double c = std::cos((t + 0.008) / 1.008 * std::numbers::pi / 2);
        return c * c;
      };
      for (int i = 0; i < count; ++i) {
        const double ratio = alpha_bar(static_cast<double>(i + 1) / count) / alpha_bar(static_cast<double>(i) / count);
        betas.push_back(static_cast<float>(std::min(1 - ratio, 0.999)));
      }
      return betas;
  }
  return betas;
}

// PyTorch accumulates float32 products in double and rounds the stored results.
std::vector<float> cumulative_product(const std::vector<float>& factors) {
  std::vector<float> products;
  products.reserve(factors.size());
  double product = 1;
  for (const float factor : factors) products.push_back(static_cast<float>(product *= factor));
  return products;
}

std::vector<float> one_minus(std::vector<float> values) {
  for (float& value : values) value = 1.0f - value;
  return values;
}

// Shifts and scales sqrt(alpha_bar) so that the last is 0 and the first stays (Lin et al. 2023, algorithm 1).
std::vector<float> rescale_zero_terminal_snr(const std::vector<float>& betas) {
  std::vector<float> bars = cumulative_product(one_minus(betas));
  for (float& bar : bars) bar = std::sqrt(bar);
  const float first = bars.front();
  const float last = bars.back();
  const float stretch = first / (first - last);
  for (float& bar : bars) {
    bar -= last;
    bar *= stretch;
    bar = bar * bar;
  }
  std::vector<float> alphas = {bars.front()};
  for (size_t i = 1; i < bars.size(); ++i) alphas.push_back(bars[i] / bars[i - 1]);
  return one_minus(alphas);
}

// np.interp of a table given at 0, 1, 2, ...: linear, clamped at the ends.
double interpolate(const std::vector<double>& table, double x) {
  const double last = static_cast<double>(table.size() - 1);
  if (x <= 0) return table.front();
  if (x >= last) return table.back();
  const auto below = static_cast<size_t>(x);
  return table[below] + (table[below + 1] - table[below]) * (x - static_cast<double>(below));
}

// np.linspace: the last value is exact.
std::vector<double> linspace(double start, double end, int count) {
  std::vector<double> values;
  values.reserve(static_cast<size_t>(count));
  const double step = count > 1 ? (end - start) / (count - 1) : 0;
  for (int i = 0; i < count; ++i) values.push_back(i + 1 == count && count > 1 ? end : start + i * step);
  return values;
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

std::vector<double> alphas_cumprod(const SchedulerConfig& config) {
  std::vector<float> betas = training_betas(config);
  for (const float beta : betas) {
    if (beta > 0 && beta <= 1) continue;
    fail(ErrorCode::bad_file, "the noise schedule of {} has the beta {}; every beta must be above 0 and at most 1",
         config.class_name, beta);
  }
  if (config.rescale_betas_zero_snr) betas = rescale_zero_terminal_snr(betas);
  const std::vector<float> products = cumulative_product(one_minus(std::move(betas)));
  return {products.begin(), products.end()};
}

std::vector<double> sigma_table(const SchedulerConfig& config, std::vector<double> alphas) {
  if (config.rescale_betas_zero_snr) alphas.back() = 0x1p-24;
  for (double& value : alphas) {
    const auto alpha = static_cast<float>(value);
    const float sigma = std::sqrt((1.0f - alpha) / alpha);
    if (!(sigma > 0) || !std::isfinite(sigma)) {
      fail(ErrorCode::bad_file,
           "the noise schedule of {} has no finite signal to noise ratio at every timestep; check "
           "beta_start, beta_end and num_train_timesteps",
           config.class_name);
    }
    value = static_cast<double>(sigma);
  }
  return alphas;
}

std::vector<double> spaced_timesteps(const SchedulerConfig& config, int steps, Grid grid, int range) {
  const int points = grid == Grid::without_end ? steps + 1 : steps;
  std::vector<double> timesteps;
  switch (config.timestep_spacing) {
    case TimestepSpacing::linspace: {
      timesteps = linspace(0, range - 1, points);
      for (double& t : timesteps) t = grid == Grid::fractional ? to_float32(t) : std::nearbyint(t);
      break;
    }
    case TimestepSpacing::leading: {
      const int step = range / points;
      for (int i = 0; i < points; ++i) timesteps.push_back(static_cast<double>(i) * step + config.steps_offset);
      break;
    }
    case TimestepSpacing::trailing: {
      // np.arange(range, 0, -ratio). Its increment is the difference of its first two values.
      const double ratio = static_cast<double>(config.num_train_timesteps) / steps;
      const double increment = (range - ratio) - range;
      for (int i = steps - 1; i >= 0; --i) {
        const double t = range + i * increment;
        if (t > 0) timesteps.push_back(std::nearbyint(t) - 1);
      }
      std::reverse(timesteps.begin(), timesteps.end());
      return timesteps;
    }
  }
  std::reverse(timesteps.begin(), timesteps.end());
  timesteps.resize(static_cast<size_t>(steps));
  return timesteps;
}

Ladder karras_ladder(const SchedulerConfig& config, int steps, bool round_karras) {
  require_one_spacing(config);
  const std::vector<double> table = sigma_table(config, alphas_cumprod(config));
  Ladder ladder;
  ladder.timesteps = spaced_timesteps(config, steps, Grid::fractional, config.num_train_timesteps);
  if (config.interpolation_type == Interpolation::log_linear) {
    // One sigma more than timesteps, so that the sampler ends at the lowest of the table.
    ladder.sigmas = linspace(std::log(table.back()), std::log(table.front()), steps + 1);
    for (double& sigma : ladder.sigmas) sigma = std::exp(sigma);
  } else {
    for (const double t : ladder.timesteps) ladder.sigmas.push_back(interpolate(table, t));
  }
  if (is_respaced(config)) {
    const std::vector<double> log_sigmas = logarithms(table);
    ladder.sigmas = respaced_sigmas(config, ladder.sigmas.back(), ladder.sigmas.front(), steps);
    ladder.timesteps.clear();
    for (const double sigma : ladder.sigmas) {
      const double t = timestep_of_sigma(sigma, log_sigmas);
      ladder.timesteps.push_back(config.use_karras_sigmas && round_karras ? std::nearbyint(t) : to_float32(t));
    }
  }
  ladder.sigmas.push_back(config.final_sigmas_type == FinalSigmas::sigma_min ? table.front() : 0);
  for (double& sigma : ladder.sigmas) sigma = to_float32(sigma);
  return ladder;
}

Ladder solver_ladder(const SchedulerConfig& config, int steps, SolverLadderRules rules) {
  require_one_spacing(config);
  const std::vector<double> table = sigma_table(config, alphas_cumprod(config));
  Ladder ladder;
  double last = table.front();
  if (is_respaced(config)) {
    const std::vector<double> log_sigmas = logarithms(table);
    ladder.sigmas = respaced_sigmas(config, table.front(), table.back(), steps);
    const bool rounded = (config.use_karras_sigmas || config.use_lu_lambdas) &&
                         !(rules.cosine_truncates && config.beta_schedule == BetaSchedule::squaredcos_cap_v2);
    for (const double sigma : ladder.sigmas) {
      const double t = timestep_of_sigma(sigma, log_sigmas);
      ladder.timesteps.push_back(rounded ? std::nearbyint(t) : std::trunc(t));
    }
    if (rules.sigma_min_repeats_last) last = ladder.sigmas.back();
  } else {
    ladder.timesteps = spaced_timesteps(config, steps, Grid::without_end, unclipped_timesteps(config, table));
    for (const double t : ladder.timesteps) ladder.sigmas.push_back(interpolate(table, t));
  }
  ladder.sigmas.push_back(config.final_sigmas_type == FinalSigmas::sigma_min ? last : 0);
  for (double& sigma : ladder.sigmas) sigma = to_float32(sigma);
  return ladder;
}

double karras_init_noise_sigma(const SchedulerConfig& config, const std::vector<double>& sigmas) {
  const double max = *std::max_element(sigmas.begin(), sigmas.end());
  return config.timestep_spacing == TimestepSpacing::leading ? std::sqrt(max * max + 1) : max;
}

std::vector<double> logarithms(const std::vector<double>& sigmas) {
  std::vector<double> logs;
  logs.reserve(sigmas.size());
  for (const double sigma : sigmas) logs.push_back(to_float32(std::log(sigma)));
  return logs;
}

double timestep_of_sigma(double sigma, const std::vector<double>& log_sigmas) {
  if (log_sigmas.size() < 2) return 0;
  const double log_sigma = std::log(std::max(sigma, 1e-10));
  // The last entry that is not above it, but not the very last of the table.
  size_t low = log_sigmas.size() - 1;
  while (low > 0 && log_sigmas[low] > log_sigma) --low;
  low = std::min(low, log_sigmas.size() - 2);
  const double gap = to_float32(log_sigmas[low] - log_sigmas[low + 1]);
  const double w = std::clamp((log_sigmas[low] - log_sigma) / gap, 0.0, 1.0);
  return (1 - w) * static_cast<double>(low) + w * static_cast<double>(low + 1);
}

}  // namespace tempera
