// DEIS in log rho: the noise is a polynomial in log(sigma) through the last predictions, integrated exactly along
// sigma. Zhang and Chen 2022 (rho-AB with the logarithmic basis); diffusers DEISMultistepScheduler.
#include <algorithm>
#include <array>
#include <cmath>

#include "sampling/dpmsolver.h"
#include "sampling/sigmas.h"

namespace tempera {
namespace {

// Antiderivatives in sigma, at sigma = t, of the polynomials in log(sigma) that are 1 at b and 0 at the others.
double linear_basis(double t, double b, double c) {
  return t * (std::log(t) - std::log(c) - 1) / (std::log(b) - std::log(c));
}

double quadratic_basis(double t, double b, double c, double d) {
  const double log_t = std::log(t);
  const double log_c = std::log(c);
  const double log_d = std::log(d);
  const double integral = log_c * log_d - (log_c + log_d) * (log_t - 1) + log_t * log_t - 2 * log_t + 2;
  return t * integral / ((std::log(b) - log_c) * (std::log(b) - log_d));
}

// The weights of the last `order` predictions, newest first, for the step from sigmas[i] to sigmas[i + 1].
std::array<double, 3> weights(int order, const std::vector<double>& sigmas, size_t i) {
  const double to = sigmas[i + 1];
  const double s0 = sigmas[i];
  if (order == 1) return {to - s0, 0, 0};
  const double s1 = sigmas[i - 1];
  if (order == 2) {
    return {linear_basis(to, s0, s1) - linear_basis(s0, s0, s1), linear_basis(to, s1, s0) - linear_basis(s0, s1, s0),
            0};
  }
  const double s2 = sigmas[i - 2];
  return {quadratic_basis(to, s0, s1, s2) - quadratic_basis(s0, s0, s1, s2),
          quadratic_basis(to, s1, s2, s0) - quadratic_basis(s0, s1, s2, s0),
          quadratic_basis(to, s2, s0, s1) - quadratic_basis(s0, s2, s0, s1)};
}

void check(const SchedulerConfig& config) {
  const auto is_one_of = [](const std::string& value, std::initializer_list<std::string_view> names) {
    return std::find(names.begin(), names.end(), value) != names.end();
  };
  // As in diffusers, the names of related samplers mean the only choice.
  if (!is_one_of(config.algorithm_type, {"deis", "dpmsolver", "dpmsolver++"})) {
    refuse(config, "algorithm_type", config.algorithm_type, "choose deis");
  }
  if (!is_one_of(config.solver_type, {"logrho", "midpoint", "heun", "bh1", "bh2"})) {
    refuse(config, "solver_type", config.solver_type, "choose logrho");
  }
  if (config.solver_order < 1 || config.solver_order > 3) {
    refuse(config, "solver_order", std::to_string(config.solver_order), "choose 1, 2 or 3");
  }
}

Schedule compile(const SchedulerConfig& config, const ScheduleOptions& options) {
  check(config);
  const Ladder ladder = solver_ladder(config, options, {.sigma_min_repeats_last = true});
  const std::vector<Level> levels = levels_of(ladder.sigmas);
  const Basis basis(config, config.solver_order);  // x, then the noise predicted one and two steps ago
  const size_t steps = ladder.timesteps.size();
  const bool is_short = config.lower_order_final && steps < 15;
  Schedule schedule{.slots = basis.slots()};
  schedule.sigmas = ladder.sigmas;
  const auto first = static_cast<size_t>(options.first);
  for (size_t i = first; i < steps; ++i) {
    const Predicted now = predicted(config, basis, levels[i]);
    std::vector<Linear> m = {now.noise};
    for (int k = 1; k < config.solver_order; ++k) m.push_back(basis.slot(static_cast<size_t>(k)));
    int order = std::min(config.solver_order, static_cast<int>(i - first) + 1);
    if (is_short) order = std::min(order, static_cast<int>(steps - i));

    const std::array<double, 3> w = weights(order, ladder.sigmas, i);
    Linear x = basis.slot(0) / levels[i].signal;
    for (int k = 0; k < order; ++k) x = x + w[static_cast<size_t>(k)] * m[static_cast<size_t>(k)];
    std::vector<Linear> next = {levels[i + 1].signal * x};
    next.insert(next.end(), m.begin(), m.end() - 1);
    schedule.evaluations.push_back({.timestep = ladder.timesteps[i],
                                    .signal = levels[i].signal,
                                    .noise = levels[i].noise,
                                    .threshold = now.threshold,
                                    .update = basis.table(next)});
  }
  return schedule;
}

}  // namespace

const Sampler& deis() {
  static const Sampler sampler = {
      .class_name = "DEISMultistepScheduler",
      .keys = {"timestep_spacing", "steps_offset", "solver_order", "thresholding", "algorithm_type", "solver_type",
               "lower_order_final", "use_karras_sigmas", "use_exponential_sigmas", "use_beta_sigmas",
               "use_flow_sigmas"},
      .defaults = {.final_sigmas_type = FinalSigmas::sigma_min, .algorithm_type = "deis", .solver_type = "logrho"},
      .compile = compile};
  return sampler;
}

}  // namespace tempera
