// SA-Solver: a predictor and a corrector of Adams' methods for the diffusion SDE with a share tau of noise, which is 1
// at timesteps from 200 to 800 and else 0. Every step is predicted, and once the model has been evaluated at its end,
// corrected with that evaluation and the same noise. Xue et al. 2023, algorithm 1 with the exact integrals of appendix
// B; diffusers SASolverScheduler.
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
        history_(std::max(config.predictor_order, config.corrector_order) - 1),
        basis_(config, kModels + history_) {}

  Schedule compile(size_t first) const {
    const auto steps = static_cast<int>(ladder_.timesteps.size());
    Schedule schedule{.slots = basis_.slots()};
    schedule.sigmas = ladder_.sigmas;
    for (size_t i = first; i < ladder_.timesteps.size(); ++i) {
      const Predicted now = predicted(config_, basis_, levels_[i]);
      std::vector<Linear> m = {of_data() ? now.picture : now.noise};
      for (int k = 0; k < history_; ++k)
        m.push_back(basis_.slot(static_cast<size_t>(kModels) + static_cast<size_t>(k)));

      const int done = static_cast<int>(i - first);
      const int left = steps - static_cast<int>(i);
      Linear sample = basis_.slot(kX);
      if (done > 0) {
        const int order = std::min({config_.corrector_order, done + 1, lower_final(left + 2)});
        sample = step(i - 1, i, order, basis_.slot(kBefore), basis_.slot(kNoise), m);
      }
      const int order = std::min({config_.predictor_order, done + 1, lower_final(left)});
      const Linear next = step(i, i, order, sample, basis_.noise(), m);
      std::vector<Linear> rows = {next, sample, basis_.noise()};
      rows.insert(rows.end(), m.begin(), m.begin() + history_);
      schedule.evaluations.push_back({.timestep = ladder_.timesteps[i],
                                      .signal = levels_[i].signal,
                                      .noise = levels_[i].noise,
                                      .threshold = now.threshold,
                                      .update = basis_.table(rows),
                                      .uses_noise = true});
    }
    return schedule;
  }

 private:
  // x; the corrected sample of the evaluation before; its noise; the models of earlier evaluations, newest first.
  enum Slot : size_t { kX, kBefore, kNoise };
  static constexpr int kModels = 3;

  bool of_data() const { return config_.algorithm_type == "data_prediction"; }
  int lower_final(int order) const { return config_.lower_order_final ? order : history_ + 1; }

  // From x at level `from` to level from + 1, with the polynomial through the models m[k] at the levels newest - k.
  Linear step(size_t from, size_t newest, int order, const Linear& x, const Linear& noise,
              const std::vector<Linear>& m) const {
    const Level a = levels_[from];
    const Level b = levels_[from + 1];
    const double h = b.lambda() - a.lambda();
    const double tau = ladder_.timesteps[from] >= 200 && ladder_.timesteps[from] <= 800 ? 1 : 0;
    const double rate = of_data() ? 1 + tau * tau : -1;
    // Places of the models, and all of the integrals, relative to the end of the step.
    std::vector<double> places;
    places.reserve(static_cast<size_t>(order));
    for (int k = 0; k < order; ++k) places.push_back(levels_[newest - static_cast<size_t>(k)].lambda() - b.lambda());
    std::vector<double> weights = weights_of_moments(places, moments(rate, h, order));
    if (of_data() && order == 2) {
      // diffusers' change of the second order, of the size of h^3. It ends in other terms than UniPC's, but has the
      // same purpose: better pictures with few steps.
      const double moment = (rate * h - 1 + std::exp(-rate * h)) / (rate * rate);
      const double change =
          newest == from ? (h * h / 2 - moment) / (a.lambda() - levels_[from - 1].lambda()) : h / 2 - moment / h;
      weights[0] += change;
      weights[1] -= change;
    }
    const double factor = (1 + tau * tau) * (of_data() ? b.signal : -b.noise);
    Linear next = of_data() ? std::exp(-tau * tau * h) * b.noise / a.noise * x : b.signal / a.signal * x;
    for (size_t k = 0; k < weights.size(); ++k) next = next + factor * weights[k] * m[k];
    const double spread = of_data() ? -std::expm1(-2 * tau * tau * h) : tau * tau * std::expm1(2 * h);
    return next + b.noise * std::sqrt(spread) * noise;
  }

  // The integrals of exp(rate u) u^k over u from -h to 0, k < count, by partial integration.
  static std::vector<double> moments(double rate, double h, int count) {
    std::vector<double> moments = {-std::expm1(-rate * h) / rate};
    for (int k = 1; k < count; ++k) {
      moments.push_back(-(std::pow(-h, k) * std::exp(-rate * h) + k * moments.back()) / rate);
    }
    return moments;
  }

  const SchedulerConfig& config_;
  const Ladder ladder_;
  const std::vector<Level> levels_;
  const int history_;
  const Basis basis_;
};

Schedule compile(const SchedulerConfig& config, const ScheduleOptions& options) {
  if (config.algorithm_type != "data_prediction" && config.algorithm_type != "noise_prediction") {
    refuse(config, "algorithm_type", config.algorithm_type, "choose data_prediction or noise_prediction");
  }
  return Compiler(config, options).compile(static_cast<size_t>(options.first));
}

}  // namespace

const Sampler& sa_solver() {
  static const Sampler sampler = {
      .class_name = "SASolverScheduler",
      .keys = {"timestep_spacing", "steps_offset", "predictor_order", "corrector_order", "tau_func", "thresholding",
               "algorithm_type", "lower_order_final", "use_karras_sigmas", "use_exponential_sigmas", "use_beta_sigmas",
               "use_flow_sigmas", "lambda_min_clipped", "variance_type"},
      .defaults = {.final_sigmas_type = FinalSigmas::sigma_min, .algorithm_type = "data_prediction"},
      .compile = compile};
  return sampler;
}

}  // namespace tempera
