// For the tests of this folder: runs a schedule on a small vector with a given model, as a pipeline does on latents.
#pragma once

#include <algorithm>
#include <cmath>
#include <functional>
#include <span>
#include <vector>

#include "sampling/schedule.h"

namespace tempera {

// model(scaled input, timestep) -> prediction; noise() -> fresh noise. Returns slot 0 after every evaluation.
using TestModel = std::function<std::vector<double>(const std::vector<double>&, const Evaluation&)>;
using TestNoise = std::function<std::vector<double>()>;

// As torch.quantile: linear between the neighbours in the sorted values.
inline double quantile(std::vector<double> values, double ratio) {
  std::sort(values.begin(), values.end());
  const double at = ratio * static_cast<double>(values.size() - 1);
  const auto below = static_cast<size_t>(at);
  const double next = values[std::min(below + 1, values.size() - 1)];
  return values[below] + (at - static_cast<double>(below)) * (next - values[below]);
}

// Dynamic thresholding as diffusers' _threshold_sample.
inline std::vector<double> thresholded(const Threshold& t, const std::vector<double>& sample,
                                       const std::vector<double>& prediction) {
  std::vector<double> picture(sample.size());
  std::vector<double> magnitudes(sample.size());
  for (size_t i = 0; i < picture.size(); ++i) {
    picture[i] = t.of_sample * sample[i] + t.of_prediction * prediction[i];
    magnitudes[i] = std::abs(picture[i]);
  }
  const double s = std::min(std::max(quantile(magnitudes, t.ratio), 1.0), t.max);
  for (double& value : picture) value = std::min(std::max(value, -s), s) / s;
  return picture;
}

inline std::vector<std::vector<double>> run_schedule(const Schedule& schedule, std::vector<double> x,
                                                     const TestModel& model, const TestNoise& noise) {
  const auto slots = static_cast<size_t>(schedule.slots);
  const size_t n = x.size();
  // The initial values of the history must not matter.
  std::vector<std::vector<double>> state(slots, std::vector<double>(n, 1e12));
  state[0] = std::move(x);
  std::vector<std::vector<double>> trace;
  for (const Evaluation& e : schedule.evaluations) {
    std::vector<double> input = state[0];
    for (double& value : input) value *= e.input_scale;
    const std::vector<double> prediction = model(input, e);
    if (e.threshold) state[static_cast<size_t>(e.threshold->slot)] = thresholded(*e.threshold, state[0], prediction);
    std::vector<std::vector<double>> operands = state;
    operands.push_back(prediction);
    operands.push_back(e.uses_noise ? noise() : std::vector<double>(n, 1e12));
    for (size_t k = 0; k < slots; ++k) {
      for (size_t i = 0; i < n; ++i) {
        state[k][i] = 0;
        for (size_t j = 0; j < operands.size(); ++j) state[k][i] += e.update[k * (slots + 2) + j] * operands[j][i];
      }
    }
    trace.push_back(state[0]);
  }
  return trace;
}

}  // namespace tempera
