// Noise levels: the table of a model's training, and the levels of it that a sampler visits.
//
// diffusers stores these tables in float32. Fractional timesteps and the noisy end of zero terminal SNR depend on this
// rounding, so they are rounded here as in PyTorch. Values computed from them are double.
#pragma once

#include <vector>

#include "sampling/config.h"
#include "sampling/schedule.h"

namespace tempera {

// prod over s <= t of (1 - beta[s]) for every training timestep t, each a float32 value, decreasing from near 1. With
// rescale_betas_zero_snr the last is 0 (Lin et al. 2023). Throws Error(bad_file) unless every beta lies in (0, 1].
std::vector<double> alphas_cumprod(const SchedulerConfig& config);

// sqrt((1 - a) / a) for every a, increasing, float32 values; a last 0 counts as 2^-24 (sigma 4096), as in the
// schedulers that support zero terminal SNR. Throws Error(bad_file) unless all are positive and finite.
std::vector<double> sigma_table(const SchedulerConfig& config, std::vector<double> alphas);

// The timesteps of `steps` evaluations by timestep_spacing and steps_offset, highest first.
enum class Grid {
  fractional,   // linspace as it comes
  whole,        // linspace rounded to integers
  without_end,  // the first `steps` of steps + 1 integers, the last of which would be timestep 0
};
// `range` replaces num_train_timesteps if lambda_min_clipped removes the noisy end.
std::vector<double> spaced_timesteps(const SchedulerConfig& config, int steps, Grid grid, int range);

// np.linspace: `count` values from `start` to `end`, the last one exact.
std::vector<double> linspace(double start, double end, int count);

// The request's own timesteps, or those of the config's schedule type, for samplers that visit whole timesteps. Empty
// if there are none.
std::vector<double> own_timesteps(const SchedulerConfig& config, const ScheduleOptions& options);

// The timesteps of the evaluations, and the sigma of each, followed by the final sigma.
struct Ladder {
  std::vector<double> timesteps;
  std::vector<double> sigmas;
};

// For the samplers with steps in sigma itself (Euler, Heun, LMS, KDPM2). Karras, exponential and beta spacings are
// between the ends of the plain spacing. Timesteps may be fractional (rounded with round_karras for Karras).
Ladder karras_ladder(const SchedulerConfig& config, const ScheduleOptions& options, bool round_karras = false);

// For the DPM-Solver family: respacings are between the ends of the training table, timesteps are integers.
struct SolverLadderRules {
  bool sigma_min_repeats_last = false;  // final_sigmas_type sigma_min of a respaced ladder is its own last sigma
  bool cosine_truncates = false;        // with cosine betas, Karras timesteps are truncated instead of rounded
};
Ladder solver_ladder(const SchedulerConfig& config, const ScheduleOptions& options, SolverLadderRules rules = {});

// init_noise_sigma of the samplers of karras_ladder.
double karras_init_noise_sigma(const SchedulerConfig& config, const std::vector<double>& sigmas);

// The timestep of this sigma in the training table, interpolated linearly in its logarithm and clamped to the table.
double timestep_of_sigma(double sigma, const std::vector<double>& log_sigmas);
std::vector<double> logarithms(const std::vector<double>& sigmas);  // float32 values, as timestep_of_sigma needs them

// The quantile function of the symmetric beta distribution with both parameters `shape` (use_beta_sigmas: 0.6), for p
// in [0, 1].
double beta_quantile(double p, double shape);

// To the nearest float32.
inline double to_float32(double x) {
  return static_cast<double>(static_cast<float>(x));
}

}  // namespace tempera
