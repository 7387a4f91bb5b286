// Marks of the sampling in model files: single tensors and metadata that say that a model predicts v, that its noise
// schedule ends without signal, or that it has an EDM schedule. They apply in every case that opens a model: a single
// file, the UNet of a folder, a UNet that replaces another.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>

#include "models/config.h"
#include "tempera/log.h"
#include "weights/checkpoint.h"

namespace tempera {

// The scheduler configuration `text` (diffusers JSON) with the marks of `file`, which the UNet is from. `what` names
// the file. A change is logged in one sentence. The marks:
//   v_pred, or modelspec.prediction_type "v"  prediction_type v_prediction
//   ztsnr                                     rescale_betas_zero_snr
//   edm_mean (Playground 2.5)                 EDMDPMSolverMultistepScheduler as published
//   edm_vpred.sigma_max, .sigma_min (CosXL)   EDMEulerScheduler with v prediction and sigma_data 1
// A configuration that has an EDM schedule already is not changed, and a broken one neither. Throws Error(bad_file) for
// numbers that are not valid.
std::string with_marks(const std::string& text, const Checkpoint& file, std::string_view what, const LogSink& log);

// A scheduler configuration as JSON; null if it is broken.
nlohmann::json scheduler_object(const std::string& text);

// Sets mean, deviation and scale of the latents from `edm_mean` and `edm_std` (Playground 2.5), if the file has them
// and `vae` has no mean of its own. Throws Error(bad_file) for another number of values.
void read_latents(const Checkpoint& file, VaeConfig& vae);

// The published configuration of SDXL (scheduler/scheduler_config.json of both models).
std::string sdxl_scheduler_config();

}  // namespace tempera
