// The schedule types of ComfyUI and A1111's web UI that diffusers does not have, as sigmas.
#pragma once

#include <string_view>
#include <vector>

#include "sampling/config.h"

namespace tempera {

// The sigmas of the evaluations, highest first, without the final one. `table` has the sigma of every training
// timestep, increasing. N is its size, sigma(t) interpolates its logarithm linearly. i counts from 0 to steps - 1. The
// formulas are those of ComfyUI (comfy/samplers.py), which A1111's web UI shares:
//
//   normal            sigma(t), t evenly from N - 1 to 0, both included
//   sgm_uniform       sigma(t), t evenly from N - 1 to 0, without 0
//   simple            table[N - 1 - floor(i N / steps)]
//   ddim_uniform      table[1], table[1 + k], table[1 + 2 k], ... with k = max(floor(N / steps), 1), in reverse: where
//                     N is not a multiple of steps, there can be more evaluations than steps
//   beta              table[round(q (N - 1))], q the quantile of the beta distribution (0.6, 0.6) at 1 - i / steps;
//                     equal neighbours count once (Lee et al. 2024)
//   kl_optimal        tan of an even spacing between the arcus tangents of the ends of the table
//   align_your_steps  the ten levels that Sabour et al. 2024 found for SDXL; other numbers of steps interpolate their
//                     logarithms linearly
std::vector<double> scheduled_sigmas(ScheduleType type, const std::vector<double>& table, int steps);

}  // namespace tempera
