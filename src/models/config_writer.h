// The inverse of config_json.h: config.json files that diffusers and transformers read.
#pragma once

#include <string>

#include "models/config.h"

namespace tempera {

std::string to_json(const ClipConfig& config);
// Throws Error(internal) for a UNet whose up blocks do not mirror its down blocks. No preset has such blocks.
std::string to_json(const UnetConfig& config);
std::string to_json(const VaeConfig& config);
std::string to_json(const TinyVaeConfig& config);
// model_index.json of StableDiffusionXLPipeline (or the picture-to-picture one, for a refiner).
std::string model_index_json(const ModelConfig& config, const std::string& scheduler_class);

}  // namespace tempera
