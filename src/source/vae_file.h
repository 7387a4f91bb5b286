// Opens the autoencoder that replaces the model's own, and says that a model has none.
#pragma once

#include <filesystem>

#include "models/config.h"
#include "source/model_source.h"
#include "source/shapes.h"
#include "weights/naming.h"

namespace tempera {

struct ReplacingVae {
  LoneComponent vae;
  // false: the scale of the latents is that of the model, because a file without config.json does not have it.
  bool has_config = true;
};

// `where`: a .safetensors file under original names (with the prefix first_stage_model. or vae., or without) or under
// diffusers' names, or a diffusers folder (with config.json, or a model that has a folder vae), whose weights are those
// of the variant if it has them. Maps the weights and checks the shapes of the decoder. Throws Error(bad_file) that
// names the file and the remedy.
ReplacingVae open_vae(const std::filesystem::path& where, const std::string& variant = "");

// The configuration of an autoencoder under diffusers' names, from shapes. Scale and mean of latents are SDXL's.
VaeConfig vae_config_of(const Checkpoint& tensors);

// Sets the levels and resnets of the autoencoder in the single file of these shapes. 0 levels: it has none.
void read_vae_layout(const Shapes& shapes, LdmLayout& layout);

// `vae` with the scale, the mean and the deviation of the latents of `own`.
VaeConfig with_latents_of(VaeConfig vae, const VaeConfig& own);

// Throws Error(bad_file) with the remedy if the model has no autoencoder.
void require_vae(const ModelSource& source);

}  // namespace tempera
