#include "sampling/sampler.h"

#include <algorithm>

#include "base/error.h"

namespace tempera {

bool knows(const Sampler& sampler, std::string_view key) {
  return std::find(sampler.keys.begin(), sampler.keys.end(), key) != sampler.keys.end();
}

SchedulerConfig defaults_of(const Sampler& sampler) {
  SchedulerConfig config = sampler.defaults;
  config.class_name = sampler.class_name;
  return config;
}

Linear picture_of(PredictionType type, Level level, const Linear& x, const Linear& prediction) {
  const double scale = level.scale();
  switch (type) {
    case PredictionType::epsilon:
      return (x - level.noise * prediction) / level.signal;
    case PredictionType::v_prediction:
      return level.signal / (scale * scale) * x - level.noise / scale * prediction;
    case PredictionType::sample:
      return prediction;
  }
  fail(ErrorCode::internal, "internal error: prediction type {}", static_cast<int>(type));
}

Linear noise_of(PredictionType type, Level level, const Linear& x, const Linear& prediction) {
  const double scale = level.scale();
  switch (type) {
    case PredictionType::epsilon:
      return prediction;
    case PredictionType::v_prediction:
      return level.noise / (scale * scale) * x + level.signal / scale * prediction;
    case PredictionType::sample:
      return (x - level.signal * prediction) / level.noise;
  }
  fail(ErrorCode::internal, "internal error: prediction type {}", static_cast<int>(type));
}

Basis::Basis(const SchedulerConfig& config, int slots)
    : slots_(static_cast<size_t>(slots) + (config.thresholding ? 1 : 0)),
      thresholds_(config.thresholding),
      ratio_(config.dynamic_thresholding_ratio),
      max_(config.sample_max_value) {}

Linear Basis::thresholded(const Linear& predicted) const {
  return thresholds_ ? slot(slots_ - 1) : predicted;
}

std::optional<Threshold> Basis::threshold(const Linear& predicted) const {
  if (!thresholds_) return std::nullopt;
  return Threshold{slots() - 1, predicted.coefficients()[0], predicted.coefficients()[slots_], ratio_, max_};
}

std::vector<double> Basis::table(std::vector<Linear> next) const {
  if (thresholds_) next.push_back(zero());
  return update_table(next);
}

Predicted predicted(const SchedulerConfig& config, const Basis& basis, Level level) {
  const Linear x = basis.slot(0);
  const Linear picture = picture_of(config.prediction_type, level, x, basis.prediction());
  if (config.thresholding) return predicted_from(picture, basis, level);
  return {picture, noise_of(config.prediction_type, level, x, basis.prediction()), {}};
}

Predicted predicted_from(const Linear& picture, const Basis& basis, Level level) {
  const Linear thresholded = basis.thresholded(picture);
  return {thresholded, (basis.slot(0) - level.signal * thresholded) / level.noise, basis.threshold(picture)};
}

std::vector<double> update_table(std::span<const Linear> next) {
  std::vector<double> table;
  for (const Linear& row : next) {
    table.insert(table.end(), row.coefficients().begin(), row.coefficients().end());
  }
  return table;
}

void refuse(const SchedulerConfig& config, std::string_view key, std::string_view value, std::string_view remedy) {
  fail(ErrorCode::bad_file, "{} does not support {} '{}'; {}", config.class_name, key, value, remedy);
}

void require_steps_at_most(const SchedulerConfig& config, int steps, int most, std::string_view reason) {
  if (steps <= most) return;
  fail(ErrorCode::invalid_argument, "{} makes 1 to {} steps, not {}: {}", config.class_name, most, steps, reason);
}

double alpha_at(const SchedulerConfig& config, const std::vector<double>& alphas, double timestep) {
  if (timestep >= 0 && timestep < static_cast<double>(alphas.size())) return alphas[static_cast<size_t>(timestep)];
  fail(ErrorCode::invalid_argument,
       "{} would visit timestep {}, but the model has 0 to {}; use fewer steps or a smaller steps_offset",
       config.class_name, timestep, alphas.size() - 1);
}

}  // namespace tempera
