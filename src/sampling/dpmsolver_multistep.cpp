// DPM-Solver++ (2M, 3M) and its SDE form: differences of the model between the steps already made. diffusers
// DPMSolverMultistepScheduler.
#include <algorithm>

#include "sampling/dpmsolver.h"
#include "sampling/sigmas.h"

namespace tempera {
namespace {

// m[k] is the model k steps ago; lambda(i) of level i; the step goes from level i to i + 1.
DpmDifferences differences(int order, std::span<const Level> levels, size_t i, std::span<const Linear> m) {
  if (order == 1) return {m[0], {}, {}};
  const double h = levels[i + 1].lambda() - levels[i].lambda();
  const double r0 = (levels[i].lambda() - levels[i - 1].lambda()) / h;
  const Linear d0 = (m[0] - m[1]) / r0;
  if (order == 2) return {m[0], d0, {}};
  const double r1 = (levels[i - 1].lambda() - levels[i - 2].lambda()) / h;
  const Linear d1 = (m[1] - m[2]) / r1;
  const Linear change = (d0 - d1) / (r0 + r1);
  return {m[0], d0 + r0 * change, change};
}

Schedule compile(const SchedulerConfig& config, const ScheduleOptions& options) {
  const Ladder ladder = solver_ladder(config, options, {.cosine_truncates = true});
  return dpm_multistep({.config = config,
                        .settings = dpm_settings(config),
                        .ladder = ladder,
                        .levels = levels_of(ladder.sigmas),
                        .predicted = predicted,
                        .input_scale = [](const SchedulerConfig&, Level) { return 1.0; }},
                       options.first);
}

}  // namespace

Schedule dpm_multistep(const DpmMultistep& solver, int first_evaluation) {
  const auto& [config, settings, ladder, levels, predicted, input_scale] = solver;
  const Basis basis(config, settings.order);  // x, then the model one and two steps ago
  const bool is_sde = settings.algorithm == DpmAlgorithm::data_sde || settings.algorithm == DpmAlgorithm::noise_sde;
  const size_t steps = ladder.timesteps.size();
  const bool is_short = config.lower_order_final && steps < 15;
  const bool first_order_at_end = config.euler_at_final || is_short || config.final_sigmas_type == FinalSigmas::zero;

  Schedule schedule{.slots = basis.slots()};
  schedule.sigmas = ladder.sigmas;
  const auto first = static_cast<size_t>(first_evaluation);
  for (size_t i = first; i < steps; ++i) {
    const Predicted now = predicted(config, basis, levels[i]);
    std::vector<Linear> m = {dpm_model(settings.algorithm, now)};
    for (int k = 1; k < settings.order; ++k) m.push_back(basis.slot(static_cast<size_t>(k)));

    int order = std::min(settings.order, static_cast<int>(i - first) + 1);
    if (i + 1 == steps && first_order_at_end) order = 1;
    if (i + 2 == steps && is_short) order = std::min(order, 2);
    // Third order has only one kind of weight, Heun's.
    const Linear x = dpm_update(settings.algorithm, settings.heun || order == 3, levels[i], levels[i + 1],
                                basis.slot(0), differences(order, levels, i, m), basis.noise());
    std::vector<Linear> next = {x};
    next.insert(next.end(), m.begin(), m.end() - 1);
    schedule.evaluations.push_back({.timestep = ladder.timesteps[i],
                                    .input_scale = input_scale(config, levels[i]),
                                    .signal = levels[i].signal,
                                    .noise = levels[i].noise,
                                    .threshold = now.threshold,
                                    .update = basis.table(next),
                                    .uses_noise = is_sde});
  }
  return schedule;
}

const Sampler& dpmsolver_multistep() {
  static const Sampler sampler = {
      .class_name = "DPMSolverMultistepScheduler",
      .keys = {"timestep_spacing", "steps_offset", "solver_order", "thresholding", "algorithm_type", "solver_type",
               "lower_order_final", "euler_at_final", "use_karras_sigmas", "use_exponential_sigmas", "use_beta_sigmas",
               "use_lu_lambdas", "use_flow_sigmas", "final_sigmas_type", "lambda_min_clipped", "variance_type",
               "rescale_betas_zero_snr"},
      .defaults = {.algorithm_type = "dpmsolver++", .solver_type = "midpoint"},
      .takes_timesteps = true,
      .compile = compile};
  return sampler;
}

}  // namespace tempera
