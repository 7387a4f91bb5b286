// The components that models are made of. A component is known by its name, that of its folder in a diffusers model;
// its row says what differs by component, and the functions on configurations do what differs by their type. A new
// component is a type of configuration with those functions, a row here, and a row for its tensors' names in
// weights/naming.cpp.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "models/config.h"
#include "models/inventory.h"

namespace tempera {

using ComponentConfig = std::variant<ClipConfig, UnetConfig, VaeConfig, TinyVaeConfig>;

struct ComponentKind {
  std::string_view name;
  std::string_view library, class_name;  // as model_index.json has them: "diffusers", "AutoencoderKL"
  bool optional;                         // a model can be without it
  bool reads_prompts;                    // embeddings of prompts take its place
  // Of its config.json; `what` and errors as in models/config_json.h.
  ComponentConfig (*parse)(std::string_view text, std::string_view what);
  // Its place in the configuration of a model; get gives nothing where the model is without it. Both are nullptr for a
  // component that is no part of a model and is opened alone.
  std::optional<ComponentConfig> (*get)(const ModelConfig& model);
  void (*set)(ModelConfig& model, ComponentConfig config);

  bool in_models() const { return get != nullptr; }
  // What its weight files are called in a diffusers folder: "model", without the ending.
  std::string_view weights_stem() const { return library == "transformers" ? "model" : "diffusion_pytorch_model"; }
};

// In the order in which models list them.
std::span<const ComponentKind> component_kinds();
// Throws Error(internal) for a name without a row.
const ComponentKind& component_kind(std::string_view name);

using NamedConfigs = std::vector<std::pair<std::string_view, ComponentConfig>>;
// Of the components that the model has, in the order of component_kinds().
NamedConfigs component_configs(const ModelConfig& model);

// What the overloads of check(), to_json() and parameters() for the type say.
void check_config(const ComponentConfig& config, std::string_view source);
std::string config_json(const ComponentConfig& config);
std::vector<Parameter> parameters_of(const ComponentConfig& config);
// For people, in a few words: "12 layers of 768 channels, 12 heads, 77 tokens".
std::string summary(const ComponentConfig& config);

}  // namespace tempera
