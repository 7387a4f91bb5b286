// The configuration of a model from a diffusers folder: its index and the configs of its components.
#pragma once

#include <algorithm>
#include <cstddef>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "models/components.h"
#include "models/config.h"
#include "source/model_source.h"
#include "source/vae_file.h"

namespace tempera {

inline constexpr size_t kMaxConfigBytes = 1 << 20;

// The contents of model_index.json.
struct ModelIndex {
  std::vector<const ComponentKind*> components;  // that the model has
  bool force_zeros_for_empty_prompt = true;
  bool requires_aesthetics_score = false;

  std::vector<std::string> absent_text_encoders = {};

  bool has(std::string_view component) const {
    return std::ranges::find(components, component, &ComponentKind::name) != components.end();
  }
};

// Throws Error(bad_file): malformed JSON, another pipeline, a component of another class, a missing component. With
// `vae`, the entry of the model's autoencoder is ignored. `text_encoders`: they must be in the index; otherwise an SDXL
// model may be without them.
ModelIndex read_model_index(const std::filesystem::path& file, const std::optional<ReplacingVae>& vae,
                            bool text_encoders = true);

// For a folder of configs without a model_index.json. The file decides whether there is a second text encoder. Other
// optional components exist if the folder has their configs.
ModelIndex usual_index(const std::filesystem::path& root, bool refiner, const std::optional<ReplacingVae>& vae);

// The configs of a diffusers folder. model_index.json is read already, since single files have their own. A component
// that is replaced may be absent. Throws Error(bad_file): a missing or malformed config.
ModelConfig read_configs(const std::filesystem::path& root, const ModelIndex& index, const OpenOptions& options,
                         const std::optional<ReplacingVae>& vae);

bool is_vae(const ComponentKind& kind);
// Whether the options replace the model's own component.
bool is_replaced(const ComponentKind& kind, const OpenOptions& options);

}  // namespace tempera
