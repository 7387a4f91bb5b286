#include "sampling/schedule_types.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "base/error.h"
#include "sampling/sigmas.h"

namespace tempera {
namespace {

// The sigma of a fractional timestep: linear in its logarithm.
double sigma_at(const std::vector<double>& table, double t) {
  const auto last = static_cast<double>(table.size() - 1);
  const double below = std::floor(std::clamp(t, 0.0, last));
  const auto i = static_cast<size_t>(below);
  if (i + 1 >= table.size()) return table.back();
  const double w = t - below;
  return std::exp((1 - w) * std::log(table[i]) + w * std::log(table[i + 1]));
}

std::vector<double> even_timesteps(const std::vector<double>& table, int points, int kept) {
  std::vector<double> sigmas;
  sigmas.reserve(static_cast<size_t>(kept));
  const std::vector<double> timesteps = linspace(static_cast<double>(table.size() - 1), 0, points);
  for (int i = 0; i < kept; ++i) sigmas.push_back(sigma_at(table, timesteps[static_cast<size_t>(i)]));
  return sigmas;
}

std::vector<double> simple(const std::vector<double>& table, int steps) {
  std::vector<double> sigmas;
  sigmas.reserve(static_cast<size_t>(steps));
  const double stride = static_cast<double>(table.size()) / steps;
  for (int i = 0; i < steps; ++i) sigmas.push_back(table[table.size() - 1 - static_cast<size_t>(i * stride)]);
  return sigmas;
}

std::vector<double> ddim_uniform(const std::vector<double>& table, int steps) {
  std::vector<double> sigmas;
  const size_t stride = std::max<size_t>(table.size() / static_cast<size_t>(steps), 1);
  for (size_t i = std::min<size_t>(1, table.size() - 1); i < table.size(); i += stride) sigmas.push_back(table[i]);
  std::reverse(sigmas.begin(), sigmas.end());
  return sigmas;
}

std::vector<double> beta(const std::vector<double>& table, int steps) {
  std::vector<double> sigmas;
  double before = -1;
  for (int i = 0; i < steps; ++i) {
    const double q = beta_quantile(1 - static_cast<double>(i) / steps, 0.6);
    const double index = std::nearbyint(q * static_cast<double>(table.size() - 1));
    if (index != before) sigmas.push_back(table[static_cast<size_t>(index)]);
    before = index;
  }
  return sigmas;
}

std::vector<double> kl_optimal(const std::vector<double>& table, int steps) {
  std::vector<double> sigmas = linspace(std::atan(table.back()), std::atan(table.front()), steps);
  for (double& sigma : sigmas) sigma = std::tan(sigma);
  return sigmas;
}

std::vector<double> align_your_steps(int steps) {
  // Sabour et al. 2024, "Align Your Steps", the published levels for SDXL; the last one is the end of the tenth step.
  constexpr std::array kLevels = {14.6146412293, 6.3184485287, 3.7681790315, 2.1811480769, 1.3405244945, 0.8620721141,
                                  0.5550693289,  0.3798540708, 0.2332364134, 0.1114188177, 0.0291671582};
  std::vector<double> sigmas;
  const std::vector<double> places = linspace(0, static_cast<double>(kLevels.size() - 1), steps + 1);
  for (int i = 0; i < steps; ++i) {
    const auto at = static_cast<size_t>(places[static_cast<size_t>(i)]);
    const double w = places[static_cast<size_t>(i)] - static_cast<double>(at);
    sigmas.push_back(w == 0 ? kLevels[at] : std::exp((1 - w) * std::log(kLevels[at]) + w * std::log(kLevels[at + 1])));
  }
  return sigmas;
}

}  // namespace

std::vector<double> scheduled_sigmas(ScheduleType type, const std::vector<double>& table, int steps) {
  switch (type) {
    case ScheduleType::none:
      break;
    case ScheduleType::normal:
      return even_timesteps(table, steps, steps);
    case ScheduleType::simple:
      return simple(table, steps);
    case ScheduleType::sgm_uniform:
      return even_timesteps(table, steps + 1, steps);
    case ScheduleType::ddim_uniform:
      return ddim_uniform(table, steps);
    case ScheduleType::beta:
      return beta(table, steps);
    case ScheduleType::kl_optimal:
      return kl_optimal(table, steps);
    case ScheduleType::align_your_steps:
      return align_your_steps(steps);
  }
  fail(ErrorCode::internal, "internal error: schedule type {}", static_cast<int>(type));
}

}  // namespace tempera
