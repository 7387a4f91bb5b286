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

std::vector<double> linspace(double start, double end, int count) {
  std::vector<double> values;
  values.reserve(static_cast<size_t>(count));
  const double step = count > 1 ? (end - start) / (count - 1) : 0;
  for (int i = 0; i < count; ++i) values.push_back(i + 1 == count && count > 1 ? end : start + i * step);
  return values;
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
