// The model that is converted: its components with their tensors, and everything else that a folder or a file of it
// has.
#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "models/components.h"
#include "source/model_source.h"
#include "tempera/request.h"
#include "weights/checkpoint.h"

namespace tempera {

struct ConvertedPart {
  std::string_view component;
  ComponentConfig config;
  std::shared_ptr<const Checkpoint> stored;   // decides the types of the tensors
  std::shared_ptr<const Checkpoint> weights;  // the values: `stored`, or a checkpoint over it
};

struct ConvertedModel {
  std::filesystem::path path;
  std::optional<ModelConfig> config;  // nothing: one component alone
  std::vector<ConvertedPart> parts;   // in the order of component_kinds()
  std::string scheduler_config;       // empty: none
  RequestDefaults defaults;
  std::filesystem::path tokenizer, tokenizer_2;  // folders; empty: the built-in vocabulary
  std::map<std::string, std::string> metadata;   // of the file of the UNet, or of the component alone

  const ConvertedPart* find(std::string_view component) const;
};

// A UNet, an autoencoder or a tiny autoencoder alone. Throws as open_unet, open_vae and open_tiny_vae do.
ConvertedModel open_alone(std::string_view component, const std::filesystem::path& path, const EngineOptions& engine);

// A model or a component alone, with the changes of adapters (Request::lora). Throws as open_model_of, open_unet,
// open_vae, open_tiny_vae and Adapters::open do.
ConvertedModel open_converted_model(const EngineOptions& engine, std::span<const std::string> lora, const LogSink& log);

}  // namespace tempera
