// Linear multistep (Adams-Bashforth in sigma): the polynomial through the last four derivatives, integrated to the next
// sigma. Lagrange basis polynomials of degree three or less are integrated exactly by two Gauss points. diffusers
// LMSDiscreteScheduler.
#include <algorithm>
#include <array>
#include <cmath>
#include <numbers>

#include "sampling/sampler.h"
#include "sampling/sigmas.h"

namespace tempera {
namespace {

constexpr size_t kOrder = 4;

// The integral from sigmas[i] to sigmas[i + 1] of the polynomial that is 1 at sigmas[i - which] and 0 at the other
// sigmas[i - k], k < order.
double lagrange_integral(const std::vector<double>& sigmas, size_t i, size_t order, size_t which) {
  const double middle = (sigmas[i] + sigmas[i + 1]) / 2;
  const double half = (sigmas[i + 1] - sigmas[i]) / 2;
  double sum = 0;
  for (const double side : {-1.0, 1.0}) {
    const double sigma = middle + side * half / std::numbers::sqrt3;
    double product = 1;
    for (size_t k = 0; k < order; ++k) {
      if (k != which) product *= (sigma - sigmas[i - k]) / (sigmas[i - which] - sigmas[i - k]);
    }
    sum += product;
  }
  return half * sum;
}

Schedule compile(const SchedulerConfig& config, const ScheduleOptions& options) {
  const Ladder ladder = karras_ladder(config, options);
  const Basis basis(kOrder);  // x, then the derivatives of the last three evaluations, newest first
  Schedule schedule{.slots = kOrder};
  schedule.sigmas = ladder.sigmas;
  schedule.init_noise_sigma = karras_init_noise_sigma(config, ladder.sigmas);
  const auto first = static_cast<size_t>(options.first);
  for (size_t i = first; i < ladder.timesteps.size(); ++i) {
    const Level level = Level::karras(ladder.sigmas[i]);
    const std::array<Linear, kOrder> slopes = {
        noise_of(config.prediction_type, level, basis.slot(0), basis.prediction()), basis.slot(1), basis.slot(2),
        basis.slot(3)};
    const size_t order = std::min(i - first + 1, kOrder);
    Linear x = basis.slot(0);
    for (size_t k = 0; k < order; ++k) x = x + lagrange_integral(ladder.sigmas, i, order, k) * slopes[k];
    schedule.evaluations.push_back({.timestep = ladder.timesteps[i],
                                    .input_scale = 1 / level.scale(),
                                    .signal = level.signal,
                                    .noise = level.noise,
                                    .update = update_table({x, slopes[0], slopes[1], slopes[2]})});
  }
  return schedule;
}

}  // namespace

const Sampler& lms() {
  static const Sampler sampler = {
      .class_name = "LMSDiscreteScheduler",
      .keys = {"timestep_spacing", "steps_offset", "use_karras_sigmas", "use_exponential_sigmas", "use_beta_sigmas"},
      .defaults = {},
      .compile = compile};
  return sampler;
}

}  // namespace tempera
