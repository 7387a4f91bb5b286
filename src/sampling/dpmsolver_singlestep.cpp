// DPM-Solver++ (2S, 3S): a step of order two or three has as many evaluations. Each of them starts at the sample at the
// beginning of the step, and covers a longer part of the step with a higher order. diffusers
// DPMSolverSinglestepScheduler.
#include <algorithm>

#include "sampling/dpmsolver.h"
#include "sampling/sigmas.h"

namespace tempera {
namespace {

// The order of each evaluation's update: 1 2 1 2 ... or 1 2 3 1 2 3 ..., with lower orders at the end.
std::vector<int> orders(const SchedulerConfig& config, int order, int steps) {
  const bool lower_final =
      config.lower_order_final || steps % order != 0 || config.final_sigmas_type == FinalSigmas::zero;
  std::vector<int> list;
  list.reserve(static_cast<size_t>(steps));
  for (int i = 0; i < steps; ++i) list.push_back(i % order + 1);
  // A last block that is complete would end in its full order.
  if (lower_final && order == 2 && steps % 2 == 0) list.back() = 1;
  if (lower_final && order == 3 && steps % 3 == 0) {
    list[list.size() - 2] = 2;
    list.back() = 1;
  }
  if (config.final_sigmas_type == FinalSigmas::zero) list.back() = 1;
  return list;
}

// m[k] is the model k evaluations ago; the step began at level i - (order - 1) and goes to i + 1.
DpmDifferences differences(int order, bool heun, std::span<const Level> levels, size_t i, std::span<const Linear> m) {
  if (order == 1) return {m[0], {}, {}};
  const auto lambda = [&](size_t k) { return levels[k].lambda(); };
  const size_t start = i - static_cast<size_t>(order - 1);
  const double h = lambda(i + 1) - lambda(start);
  const double r0 = (lambda(i) - lambda(start)) / h;
  if (order == 2) return {m[1], (m[0] - m[1]) / r0, {}};
  const double r1 = (lambda(i - 1) - lambda(start)) / h;
  const Linear near = (m[1] - m[2]) / r1;
  const Linear far = (m[0] - m[2]) / r0;
  if (!heun) return {m[2], far, {}};
  return {m[2], (r0 * near - r1 * far) / (r0 - r1), 2.0 * (far - near) / (r0 - r1)};
}

Schedule compile(const SchedulerConfig& config, const ScheduleOptions& options) {
  const DpmSettings settings = dpm_settings(config);
  if (settings.algorithm == DpmAlgorithm::noise_sde) {
    refuse(config, "algorithm_type", config.algorithm_type, "choose dpmsolver++, sde-dpmsolver++ or dpmsolver");
  }
  const Ladder ladder = solver_ladder(config, options);
  const std::vector<Level> levels = levels_of(ladder.sigmas);
  const size_t steps = ladder.timesteps.size();
  const std::vector<int> order_of = orders(config, settings.order, static_cast<int>(steps));
  // x, the sample at the beginning of the step, the model one and two evaluations ago
  const Basis basis(config, settings.order + 1);
  Schedule schedule{.slots = basis.slots()};
  schedule.sigmas = ladder.sigmas;
  const auto first = static_cast<size_t>(options.first);
  for (size_t i = first; i < steps; ++i) {
    const Predicted now = predicted(config, basis, levels[i]);
    std::vector<Linear> m = {dpm_model(settings.algorithm, now)};
    for (int k = 1; k < settings.order; ++k) m.push_back(basis.slot(static_cast<size_t>(k) + 1));

    const int order = std::min(order_of[i], static_cast<int>(i - first) + 1);
    const Linear start = order == 1 ? basis.slot(0) : basis.slot(1);
    const Linear x =
        dpm_update(settings.algorithm, settings.heun || order == 3, levels[i - static_cast<size_t>(order - 1)],
                   levels[i + 1], start, differences(order, settings.heun, levels, i, m), basis.noise());
    std::vector<Linear> next = {x, start};
    next.insert(next.end(), m.begin(), m.end() - 1);
    schedule.evaluations.push_back({.timestep = ladder.timesteps[i],
                                    .signal = levels[i].signal,
                                    .noise = levels[i].noise,
                                    .threshold = now.threshold,
                                    .update = basis.table(next),
                                    .uses_noise = settings.algorithm == DpmAlgorithm::data_sde});
  }
  return schedule;
}

}  // namespace

const Sampler& dpmsolver_singlestep() {
  static const Sampler sampler = {
      .class_name = "DPMSolverSinglestepScheduler",
      .keys = {"solver_order", "thresholding", "algorithm_type", "solver_type", "lower_order_final",
               "use_karras_sigmas", "use_exponential_sigmas", "use_beta_sigmas", "use_flow_sigmas", "final_sigmas_type",
               "lambda_min_clipped", "variance_type"},
      .defaults = {.algorithm_type = "dpmsolver++", .solver_type = "midpoint", .lower_order_final = false},
      .takes_timesteps = true,
      .compile = compile};
  return sampler;
}

}  // namespace tempera
