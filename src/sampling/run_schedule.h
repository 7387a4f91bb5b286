// For the tests of this folder: runs a schedule on a small vector with a given model, as a pipeline does on latents.
#pragma once

#include <functional>
#include <span>
#include <vector>

#include "sampling/schedule.h"

namespace tempera {

// model(scaled input, timestep) -> prediction; noise() -> fresh noise. Returns slot 0 after every evaluation.
using TestModel = std::function<std::vector<double>(const std::vector<double>&, const Evaluation&)>;
using TestNoise = std::function<std::vector<double>()>;

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
    std::vector<std::vector<double>> operands = state;
    operands.push_back(model(input, e));
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
