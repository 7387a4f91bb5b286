// Pseudo numerical methods (Liu et al. 2022): multistep formulas on the predictions, transferred along the curve of
// DDIM's equation 9 there. Starts either by doing the first step twice (PLMS, skip_prk_steps) or with three steps of a
// pseudo Runge-Kutta method of four evaluations each. diffusers PNDMScheduler.
#include <algorithm>
#include <array>
#include <cmath>

#include "sampling/sampler.h"
#include "sampling/sigmas.h"

namespace tempera {
namespace {

constexpr size_t kRungeKuttaEvaluations = 12;

// The order in which the timesteps (highest first) are evaluated.
std::vector<double> evaluated_timesteps(const SchedulerConfig& config, const std::vector<double>& timesteps) {
  const size_t steps = timesteps.size();
  std::vector<double> evaluated;
  if (config.skip_prk_steps) {
    evaluated = timesteps;  // the second one twice
    if (steps >= 2) evaluated.insert(evaluated.begin() + 1, timesteps[1]);
    return evaluated;
  }
  // Three steps t0 -> t1 -> t2 -> t3 as t0, middle, middle, t1; t1, middle, middle, t2; ...
  const int half = config.num_train_timesteps / static_cast<int>(steps) / 2;
  for (size_t i = 0; i < 3; ++i) {
    const double middle = timesteps[i + 1] + half;
    evaluated.insert(evaluated.end(), {timesteps[i], middle, middle, timesteps[i + 1]});
  }
  evaluated.insert(evaluated.end(), timesteps.begin() + 3, timesteps.end());
  return evaluated;
}

class Compiler {
 public:
  Compiler(const SchedulerConfig& config, const ScheduleOptions& options)
      : config_(config),
        alphas_(alphas_cumprod(config)),
        timesteps_(evaluated_timesteps(
            config, spaced_timesteps(config, options.steps, Grid::whole, config.num_train_timesteps))),
        stride_(config.num_train_timesteps / options.steps),
        basis_(config.skip_prk_steps ? kSlots - 1 : kSlots) {}

  Schedule compile(int first) {
    const size_t runge_kutta = config_.skip_prk_steps ? 0 : kRungeKuttaEvaluations;
    Schedule schedule{.slots = config_.skip_prk_steps ? kSlots - 1 : kSlots};
    const std::vector<double> timesteps(timesteps_.begin() + first, timesteps_.end());
    for (size_t i = 0; i < timesteps.size(); ++i) {
      const Level level = Level::of_alpha(alpha_at(config_, alphas_, timesteps[i]));
      schedule.evaluations.push_back(
          {.timestep = timesteps[i],
           .signal = level.signal,
           .noise = level.noise,
           .update = i < runge_kutta ? runge_kutta_update(timesteps, i) : multistep_update(timesteps, i, runge_kutta)});
    }
    return schedule;
  }

 private:
  // x; what x was before the step that takes several evaluations; the last three predictions, newest first; and, only
  // where there are Runge-Kutta steps, the weighted sum of their predictions.
  static constexpr int kSlots = 6;
  enum Slot : size_t { kX, kBefore, kOne, kTwo, kThree, kSum };

  // From timestep t to `next` with a prediction: equation 11 of the paper.
  Linear transfer(const Linear& x, double t, double next, const Linear& prediction) const {
    const double alpha = alpha_at(config_, alphas_, t);
    const double alpha_next = next >= 0 ? alpha_at(config_, alphas_, next) : final_alpha();
    const Linear noise = noise_of(config_.prediction_type, Level::of_alpha(alpha), x, prediction);
    const double denominator = alpha * std::sqrt(1 - alpha_next) + std::sqrt(alpha * (1 - alpha) * alpha_next);
    return std::sqrt(alpha_next / alpha) * x - (alpha_next - alpha) / denominator * noise;
  }

  double final_alpha() const { return config_.set_alpha_to_one ? 1.0 : alphas_.front(); }

  std::vector<double> runge_kutta_update(const std::vector<double>& timesteps, size_t i) const {
    constexpr std::array<double, 4> kWeights = {1. / 6, 1. / 3, 1. / 3, 1. / 6};
    const size_t stage = i % 4;
    const Linear e = basis_.prediction();
    const Linear before = stage == 0 ? basis_.slot(kX) : basis_.slot(kBefore);
    const Linear sum = (stage == 0 ? basis_.zero() : basis_.slot(kSum)) + kWeights[stage] * e;
    const double from = timesteps[i - stage];
    const double next = timesteps[i] - (i % 2 == 1 ? 0 : stride_ / 2);
    const Linear x = transfer(before, from, next, stage == 3 ? sum : e);
    if (stage == 0) return update_table({x, before, e, basis_.slot(kOne), basis_.slot(kTwo), sum});
    return update_table({x, before, basis_.slot(kOne), basis_.slot(kTwo), basis_.slot(kThree), sum});
  }

  std::vector<double> multistep_update(const std::vector<double>& timesteps, size_t i, size_t runge_kutta) const {
    const Linear x = basis_.slot(kX);
    const Linear e = basis_.prediction();
    const Linear one = basis_.slot(kOne);
    const Linear two = basis_.slot(kTwo);
    const Linear three = basis_.slot(kThree);
    const double t = timesteps[i];
    std::vector<Linear> next;
    if (i == 1) {  // the first step again, with the mean of the predictions at both ends
      next = {transfer(basis_.slot(kBefore), t + stride_, t, 0.5 * (e + one)), x, one, two, three};
    } else {
      // The evaluation at i == 1 has added nothing to the history.
      const size_t known = runge_kutta > 0 ? 4 : std::min<size_t>(i == 0 ? 1 : i, 4);
      const std::array<Linear, 4> effective = {e, 0.5 * (3.0 * e - one), (23.0 * e - 16.0 * one + 5.0 * two) / 12.0,
                                               (55.0 * e - 59.0 * one + 37.0 * two - 9.0 * three) / 24.0};
      next = {transfer(x, t, t - stride_, effective[known - 1]), x, e, one, two};
    }
    if (runge_kutta > 0) next.push_back(basis_.zero());
    return update_table(next);
  }

  const SchedulerConfig& config_;
  const std::vector<double> alphas_;
  const std::vector<double> timesteps_;
  const int stride_;
  const Basis basis_;
};

Schedule compile(const SchedulerConfig& config, const ScheduleOptions& options) {
  require_steps_at_most(config, options.steps, config.num_train_timesteps, "the model has no more timesteps");
  if (!config.skip_prk_steps && (options.steps < 4 || options.first > 0)) {
    refuse(config, "skip_prk_steps", "false",
           "it takes at least 4 steps and cannot start in the middle; set skip_prk_steps to true");
  }
  return Compiler(config, options).compile(options.first);
}

}  // namespace

const Sampler& pndm() {
  static const Sampler sampler = {.class_name = "PNDMScheduler",
                                  .keys = {"timestep_spacing", "steps_offset", "skip_prk_steps", "set_alpha_to_one"},
                                  .defaults = {.timestep_spacing = TimestepSpacing::leading, .set_alpha_to_one = false},
                                  .spaces_sigmas = false,
                                  .compile = compile};
  return sampler;
}

}  // namespace tempera
