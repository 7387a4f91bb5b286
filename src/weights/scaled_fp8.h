// ComfyUI's scaled fp8: a marker tensor PREFIX.scaled_fp8, and for a weight PREFIX.NAME.weight a number
// PREFIX.NAME.scale_weight, by which the stored values are multiplied. PREFIX.NAME.scale_input is for products that are
// computed in fp8; it changes no weight and is not used. Format: comfy/ops.py and comfy/model_detection.py of
// comfyanonymous/ComfyUI.
#pragma once

#include <memory>

#include "weights/checkpoint.h"

namespace tempera {

// `file` without the tensors of scales, with their weights multiplied; `file` itself if it has no scales. Throws
// Error(bad_file) that names the layout if the weights are scaled or packed in another one.
std::shared_ptr<const Checkpoint> with_fp8_scales(std::shared_ptr<const Checkpoint> file);

}  // namespace tempera
