// The components of models. The name of a component is that of its folder in a diffusers model. Its row has the
// properties that differ by component. The functions on configurations have those that differ by type. A new component
// needs a type of configuration with those functions, a row here, and a row for its tensors' names in
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
  std::string_view library, class_name;  // as in model_index.json: "diffusers", "AutoencoderKL"
  bool optional;                         // models without it exist
  bool reads_prompts;                    // embeddings of prompts can replace it
  // Reads its config.json. `what` and errors as in models/config_json.h.
  ComponentConfig (*parse)(std::string_view text, std::string_view what);
  // Its member in the configuration of a model. get returns null if the model does not have it. Both are nullptr for a
  // component that is not part of a model and is opened alone.
  std::optional<ComponentConfig> (*get)(const ModelConfig& model);
  void (*set)(ModelConfig& model, ComponentConfig config);

  bool in_models() const { return get != nullptr; }
  // The name of its weight files in a diffusers folder, without the ending: "model".
  std::string_view weights_stem() const { return library == "transformers" ? "model" : "diffusion_pytorch_model"; }
};

// In the order in which models list them.
std::span<const ComponentKind> component_kinds();
// Throws Error(internal) for a name without a row.
const ComponentKind& component_kind(std::string_view name);

using NamedConfigs = std::vector<std::pair<std::string_view, ComponentConfig>>;
// The components of the model, in the order of component_kinds().
NamedConfigs component_configs(const ModelConfig& model);

// The results of the overloads of check(), to_json() and parameters() for the type.
void check_config(const ComponentConfig& config, std::string_view source);
std::string config_json(const ComponentConfig& config);
std::vector<Parameter> parameters_of(const ComponentConfig& config);
// A short summary for people: "12 layers of 768 channels, 12 heads, 77 tokens".
std::string summary(const ComponentConfig& config);

}  // namespace tempera
