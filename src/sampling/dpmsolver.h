// The update of DPM-Solver, shared by its multistep and singlestep forms. Internal to this folder.
#pragma once

#include <optional>

#include "sampling/sampler.h"

namespace tempera {

enum class DpmAlgorithm {
  data,       // "dpmsolver++": the ODE in terms of the predicted picture
  noise,      // "dpmsolver": in terms of the predicted noise
  data_sde,   // "sde-dpmsolver++": as `data`, with fresh noise in every step
  noise_sde,  // "sde-dpmsolver"
};

// algorithm_type, solver_type and solver_order of a config. As in diffusers, the names of related samplers mean the
// usual choice. Throws Error(bad_file) for other values.
struct DpmSettings {
  DpmAlgorithm algorithm;
  bool heun;  // solver_type "heun", otherwise "midpoint"
  int order;  // 1 to 3
};
DpmSettings dpm_settings(const SchedulerConfig& config);

// The quantity that the solver extrapolates: the picture or the noise of a prediction at this level.
Linear dpm_model(const SchedulerConfig& config, DpmAlgorithm algorithm, Level level, const Linear& x,
                 const Linear& prediction);

// Divided differences of the model along lambda, in units of the step h: value, first and second.
struct DpmDifferences {
  Linear value;
  std::optional<Linear> first, second;
};
// From x at `from` to level `to`. The first difference has the midpoint's or Heun's weight.
Linear dpm_update(DpmAlgorithm algorithm, bool heun, Level from, Level to, const Linear& x, const DpmDifferences& model,
                  const Linear& noise);

// Levels with the sigmas of a ladder.
std::vector<Level> levels_of(const std::vector<double>& sigmas);

}  // namespace tempera
