// Opens the tiny autoencoder that replaces the model's own decoder: a diffusers folder, a single file under diffusers'
// names, or the one in a model's folder.
#pragma once

#include <filesystem>
#include <optional>
#include <string_view>

#include "models/config.h"
#include "source/model_source.h"

namespace tempera {

// What users call the one in the model's own folder, and the folder's name there: that of the component.
inline constexpr std::string_view kModelsOwnTinyVae = "model";
inline constexpr std::string_view kTinyVaeFolder = "vae_tiny";

// `where`: kModelsOwnTinyVae or a path. A file without a config.json of its own is taken for TAESDXL. Maps the weights
// and checks the decoder's shapes. Throws Error(bad_file) naming the file and the remedy, also when the latents are
// none of the model's, Error(invalid_argument) when the model carries none.
LoneComponent open_tiny_vae(std::string_view where, const std::filesystem::path& model, const VaeConfig& replaced);

// The one in the model's folder; nothing if there is none. Throws as open_tiny_vae does.
std::optional<LoneComponent> open_own_tiny_vae(const std::filesystem::path& model, const VaeConfig& replaced);

// The configuration of what these open.
const TinyVaeConfig& tiny_vae_config(const LoneComponent& tiny);

}  // namespace tempera
