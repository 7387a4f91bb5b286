// UniPC: every step is predicted, and once the model has been evaluated at its end, corrected with that evaluation, at
// no extra cost. Zhao et al. 2023, algorithms 5 to 8, with B(h) = h (bh1) or e^h - 1 (bh2); diffusers
// UniPCMultistepScheduler.
#include <algorithm>
#include <cmath>

#include "sampling/dpmsolver.h"
#include "sampling/linear_system.h"

namespace tempera {
namespace {

class Compiler {
 public:
  Compiler(const SchedulerConfig& config, const ScheduleOptions& options)
      : config_(config),
        ladder_(solver_ladder(config, options, {.sigma_min_repeats_last = true})),
        levels_(levels_of(ladder_.sigmas)),
        basis_(config, config.solver_order + 2) {}

  Schedule compile(size_t first) const {
    const size_t steps = ladder_.timesteps.size();
    const int history = config_.solver_order;
    Schedule schedule{.slots = basis_.slots()};
    schedule.sigmas = ladder_.sigmas;
    int order_before = 0;
    for (size_t i = first; i < steps; ++i) {
      const Level level = levels_[i];
      const Predicted now = tempera::predicted(config_, basis_, level);
      // The model at this and the earlier evaluations, newest first.
      std::vector<Linear> m = {config_.predict_x0 ? now.picture : now.noise};
      for (int k = 0; k < history; ++k) m.push_back(basis_.slot(static_cast<size_t>(k) + 2));

      const bool corrects = i > first && !is_disabled(static_cast<int>(i) - 1);
      const Linear sample = corrects ? corrected(i, order_before, m) : basis_.slot(0);
      int order = std::min(history, static_cast<int>(i - first) + 1);
      if (config_.lower_order_final) order = std::min(order, static_cast<int>(steps - i));
      std::vector<Linear> next = {predicted(i, order, sample, m), sample};
      next.insert(next.end(), m.begin(), m.end() - 1);
      order_before = order;
      schedule.evaluations.push_back({.timestep = ladder_.timesteps[i],
                                      .signal = level.signal,
                                      .noise = level.noise,
                                      .threshold = now.threshold,
                                      .update = basis_.table(next)});
    }
    return schedule;
  }

 private:
  // Slots: x, the (corrected) sample of the evaluation before, the models of earlier evaluations, newest first.

  bool is_disabled(int step) const {
    const std::vector<int>& steps = config_.disable_corrector;
    return std::find(steps.begin(), steps.end(), step) != steps.end();
  }

  // A step in lambda from level `from` to from + 1: h, the places of the `order - 1` levels before it in units of h,
  // and the moments that the weights must reproduce.
  struct Step {
    double h_phi_1, b_h;
    std::vector<double> places;  // of the earlier levels, then 1 for the end of the step
    std::vector<double> moments;
  };
  Step step(size_t from, int order) const {
    const double lambda = levels_[from].lambda();
    const double h = levels_[from + 1].lambda() - lambda;
    const double hh = config_.predict_x0 ? -h : h;
    Step step{std::expm1(hh), config_.solver_type == "bh1" ? hh : std::expm1(hh), {}, {}};
    for (int k = 1; k < order; ++k) {
      step.places.push_back((levels_[from - static_cast<size_t>(k)].lambda() - lambda) / h);
    }
    step.places.push_back(1);
    double h_phi = step.h_phi_1 / hh - 1;
    double factorial = 1;
    for (int k = 1; k <= order; ++k) {
      step.moments.push_back(h_phi * factorial / step.b_h);
      factorial *= k + 1;
      h_phi = h_phi / hh - 1 / factorial;
    }
    return step;
  }

  // Weights for the first `count` places that reproduce the first `count` moments.
  static std::vector<double> fit(const Step& step, size_t count) {
    const auto end = static_cast<std::ptrdiff_t>(count);
    return weights_of_moments({step.places.begin(), step.places.begin() + end},
                              {step.moments.begin(), step.moments.begin() + end});
  }

  // The exact step for a constant model, and the factor of the correction.
  Linear base(size_t from, const Step& step, const Linear& x, const Linear& m0) const {
    const Level a = levels_[from];
    const Level b = levels_[from + 1];
    return config_.predict_x0 ? b.noise / a.noise * x - b.signal * step.h_phi_1 * m0
                              : b.signal / a.signal * x - b.noise * step.h_phi_1 * m0;
  }
  double factor(size_t from, const Step& step) const {
    return (config_.predict_x0 ? levels_[from + 1].signal : levels_[from + 1].noise) * step.b_h;
  }

  Linear predicted(size_t i, int order, const Linear& x, const std::vector<Linear>& m) const {
    const Step s = step(i, order);
    Linear next = base(i, s, x, m[0]);
    if (order == 1) return next;
    const std::vector<double> weights = order == 2 ? std::vector<double>{0.5} : fit(s, static_cast<size_t>(order) - 1);
    for (size_t k = 0; k < weights.size(); ++k) {
      next = next - factor(i, s) * weights[k] / s.places[k] * (m[k + 1] - m[0]);
    }
    return next;
  }

  // The step from evaluation i - 1 to i again, with the model m[0] at its end.
  Linear corrected(size_t i, int order, const std::vector<Linear>& m) const {
    const Step s = step(i - 1, order);
    const std::vector<double> weights = order == 1 ? std::vector<double>{0.5} : fit(s, static_cast<size_t>(order));
    Linear next = base(i - 1, s, basis_.slot(1), m[1]) - factor(i - 1, s) * weights.back() * (m[0] - m[1]);
    for (size_t k = 0; k + 1 < weights.size(); ++k) {
      next = next - factor(i - 1, s) * weights[k] / s.places[k] * (m[k + 2] - m[1]);
    }
    return next;
  }

  const SchedulerConfig& config_;
  const Ladder ladder_;
  const std::vector<Level> levels_;
  const Basis basis_;
};

Schedule compile(const SchedulerConfig& config, const ScheduleOptions& options) {
  const std::string& type = config.solver_type;
  // As in diffusers, the names of related samplers mean bh2.
  if (type != "bh1" && type != "bh2" && type != "midpoint" && type != "heun" && type != "logrho") {
    refuse(config, "solver_type", type, "choose bh1 or bh2");
  }
  if (config.solver_order < 1 || config.solver_order > 3) {
    refuse(config, "solver_order", std::to_string(config.solver_order), "choose 1, 2 or 3");
  }
  return Compiler(config, options).compile(static_cast<size_t>(options.first));
}

}  // namespace

const Sampler& unipc() {
  static const Sampler sampler = {
      .class_name = "UniPCMultistepScheduler",
      .keys = {"timestep_spacing", "steps_offset", "solver_order", "thresholding", "predict_x0", "solver_type",
               "lower_order_final", "disable_corrector", "solver_p", "use_karras_sigmas", "use_exponential_sigmas",
               "use_beta_sigmas", "use_flow_sigmas", "final_sigmas_type", "rescale_betas_zero_snr", "sigma_min",
               "sigma_max"},
      .defaults = {.solver_type = "bh2"},
      .compile = compile};
  return sampler;
}

}  // namespace tempera
