// The shared part of the samplers: their row in the registry, and the terms of their formulas. Internal to this folder.
#pragma once

#include <cmath>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "sampling/config.h"
#include "sampling/linear.h"
#include "sampling/schedule.h"

namespace tempera {

// A sampler of diffusers. For `compile`, the options are within their ranges (`first` is 0, or a multiple of the
// schedule's order below its number of evaluations). It need not check that its coefficients are finite.
struct Sampler {
  std::string_view class_name;
  std::vector<std::string_view> keys;  // of the config, in addition to those of all classes (kCommonKeys in config.cpp)
  SchedulerConfig defaults;
  // The arguments of diffusers that the class reads: of set_timesteps, and of step.
  bool takes_timesteps = false, takes_sigmas = false, takes_eta = false;
  // False: it visits whole timesteps. Of the spacings of set_schedule (names.h) it then has those of ScheduleType, as
  // own timesteps, if it reads these.
  bool spaces_sigmas = true;
  Schedule (*compile)(const SchedulerConfig& config, const ScheduleOptions& options);
};

// Whether the class has this key, in addition to the common ones.
bool knows(const Sampler& sampler, std::string_view key);
// Its defaults in diffusers, under its name.
SchedulerConfig defaults_of(const Sampler& sampler);

// All samplers, one line each in registry.cpp.
std::span<const Sampler* const> samplers();
// Throws Error(bad_file) with a list of the classes when there is none of this name.
const Sampler& find_sampler(std::string_view class_name);

// A noise level: x = signal * picture + noise * gaussian. Variance preserving samplers have signal^2 + noise^2 = 1.
// Those of the kind of Karras et al. 2022 have signal 1 and noise sigma.
struct Level {
  double signal;
  double noise;

  static Level of_alpha(double alpha_cumprod) { return {std::sqrt(alpha_cumprod), std::sqrt(1 - alpha_cumprod)}; }
  // The variance preserving level with the signal to noise ratio 1 / sigma.
  static Level of_sigma(double sigma) {
    const double signal = 1 / std::sqrt(sigma * sigma + 1);
    return {signal, sigma * signal};
  }
  static Level karras(double sigma) { return {1, sigma}; }

  double scale() const { return std::hypot(signal, noise); }
  double sigma() const { return noise / signal; }
  double lambda() const { return -std::log(sigma()); }  // half the logarithm of the signal to noise ratio
};

// The picture and the noise of a prediction. The v prediction of Salimans and Ho 2022 is signal * noise - noise *
// picture at the variance preserving level of the same ratio.
Linear picture_of(PredictionType type, Level level, const Linear& x, const Linear& prediction);
Linear noise_of(PredictionType type, Level level, const Linear& x, const Linear& prediction);

// The basis of a table of this number of slots. With thresholding, one more slot follows them: the thresholded picture.
class Basis {
 public:
  explicit Basis(int slots) : slots_(static_cast<size_t>(slots)) {}
  Basis(const SchedulerConfig& config, int slots);

  int slots() const { return static_cast<int>(slots_); }
  Linear slot(size_t k) const { return {slots_ + 2, k}; }
  Linear prediction() const { return {slots_ + 2, slots_}; }
  Linear noise() const { return {slots_ + 2, slots_ + 1}; }
  Linear zero() const { return 0.0 * slot(0); }

  // The picture for an update: `predicted`, or the slot with its thresholded form.
  Linear thresholded(const Linear& predicted) const;
  // Evaluation::threshold for that predicted picture.
  std::optional<Threshold> threshold(const Linear& predicted) const;
  // The rows of an update: the next value of each slot but that of the thresholded picture, which becomes 0.
  std::vector<double> table(std::vector<Linear> next) const;

 private:
  size_t slots_;
  bool thresholds_ = false;
  double ratio_ = 1, max_ = 1;
};

// The picture of a prediction, thresholded if the config says so, and the noise that belongs to it.
struct Predicted {
  Linear picture, noise;
  std::optional<Threshold> threshold;  // Evaluation::threshold
};
Predicted predicted(const SchedulerConfig& config, const Basis& basis, Level level);
// The same from the picture, a sum of slot 0 and the prediction, before thresholding.
Predicted predicted_from(const Linear& picture, const Basis& basis, Level level);

// The next value of every slot, as a row-major table.
std::vector<double> update_table(std::span<const Linear> next);

inline std::vector<double> update_table(std::initializer_list<Linear> next) {
  return update_table(std::span<const Linear>(next.begin(), next.size()));
}

// Refuses a value of the config: "DEISMultistepScheduler does not support solver_type 'x' here; choose from: y".
[[noreturn]] void refuse(const SchedulerConfig& config, std::string_view key, std::string_view value,
                         std::string_view remedy);
// Refuses more than `most` steps, with the reason.
void require_steps_at_most(const SchedulerConfig& config, int steps, int most, std::string_view reason);

// alphas[timestep] for the samplers that look up levels by timestep. Throws Error(invalid_argument) when the spacing
// exceeds the table (many steps and a steps_offset).
double alpha_at(const SchedulerConfig& config, const std::vector<double>& alphas, double timestep);

}  // namespace tempera
