// The update of DPM-Solver, shared by its multistep and singlestep forms. Internal to this folder.
#pragma once

#include <optional>

#include "sampling/sampler.h"
#include "sampling/sigmas.h"

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

// The quantity that the solver extrapolates: the picture or the noise.
Linear dpm_model(DpmAlgorithm algorithm, const Predicted& predicted);

// Divided differences of the model along lambda, in units of the step h: value, first and second.
struct DpmDifferences {
  Linear value;
  std::optional<Linear> first, second;
};
// From x at `from` to level `to`. The first difference has the midpoint's or Heun's weight.
Linear dpm_update(DpmAlgorithm algorithm, bool heun, Level from, Level to, const Linear& x, const DpmDifferences& model,
                  const Linear& noise);

// The multistep solver over given levels. Its formulas hold for variance preserving levels and for those of EDM.
struct DpmMultistep {
  const SchedulerConfig& config;
  const DpmSettings settings;
  const Ladder ladder;
  const std::vector<Level> levels;  // of the ladder's sigmas
  // The prediction at a level, and the factor of the model's input.
  Predicted (*predicted)(const SchedulerConfig& config, const Basis& basis, Level level);
  double (*input_scale)(const SchedulerConfig& config, Level level);
};
// Sets slots, sigmas and evaluations.
Schedule dpm_multistep(const DpmMultistep& solver, int first);

// Levels with the sigmas of a ladder.
std::vector<Level> levels_of(const std::vector<double>& sigmas);

}  // namespace tempera
