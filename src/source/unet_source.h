// Opens a UNet that replaces the model's own, as people share distilled and quantised ones.
#pragma once

#include <memory>
#include <string_view>

#include "models/config.h"
#include "source/model_source.h"

namespace tempera {

inline constexpr std::string_view kUnet = "unet";  // the component

struct UnetReplacement {
  UnetConfig config;
  ComponentSource component;
  std::shared_ptr<const Checkpoint> file;  // with all its tensors and metadata, for marks (source/marks.h)
};

// options.unet is one of:
// 1. a diffusers folder (config.json and diffusion_pytorch_model.safetensors), or a model that has it as "unet";
// 2. a file (safetensors, GGUF) under diffusers' names;
// 3. a file under the original names, with the prefix "model.diffusion_model." or without one: a UNet alone, or a whole
//    checkpoint, whose other parts are ignored.
// options.variant chooses the weights of a folder. The config is the first of these: options.unet_config (a config.json
// or the folder that has it); config.json next to the weights, under the names of a diffusers folder; that of the
// model's own UNet, if all shapes are equal; one read from the shapes (read_unet_shapes). `model`: the rest of the
// model; its unet.down is empty if the model's own UNet is not known. Throws Error(bad_file): unreadable files, and
// tensors that are missing, unknown, or of another shape, by name.
UnetReplacement open_unet(const OpenOptions& options, const ModelConfig& model);

}  // namespace tempera
