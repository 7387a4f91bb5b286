// The marks by which a file says how its UNet samples: the inverse of source/marks.h.
#pragma once

#include <string>
#include <vector>

#include "convert/layout.h"

namespace tempera {

// Tensors for the scheduler configuration of the model: v_pred, ztsnr, edm_vpred.sigma_max and sigma_min, edm_mean and
// edm_std. Marks without a value are empty tensors; GGUF has none, so they have one element there.
std::vector<OutputTensor> sampling_marks(const ConvertedModel& model, OutputKind kind);

// Whether the scheduler configuration needs other marks than v_pred, which is in the metadata too.
bool has_marks_of_files_alone(const ConvertedModel& model);

// modelspec.prediction_type: "epsilon" or "v"; empty if the scheduler configuration does not say.
std::string prediction_mark(const ConvertedModel& model);

}  // namespace tempera
