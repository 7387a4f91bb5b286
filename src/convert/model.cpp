#include "convert/model.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/json.h"
#include "source/adapters.h"
#include "source/classify.h"
#include "source/default_model.h"
#include "source/locate.h"
#include "source/marks.h"
#include "source/open.h"
#include "source/tiny_vae.h"
#include "source/unet_source.h"
#include "source/vae_file.h"
#include "weights/tensor_file.h"

namespace tempera {
namespace fs = std::filesystem;

namespace {

// All weights of transformers' projections are read as matrices, so they are written as matrices.
ComponentConfig as_written(ComponentConfig config) {
  if (auto* unet = std::get_if<UnetConfig>(&config)) unet->use_linear_projection = true;
  return config;
}

void add_part(ConvertedModel& model, std::string_view component, const ComponentConfig& config,
              const std::shared_ptr<const Checkpoint>& weights) {
  model.parts.push_back({component_kind(component).name, as_written(config), weights, weights});
}

// The component that a folder or a file has alone; empty for anything else, such as a whole model.
std::string_view lone_component(const fs::path& path) {
  if (fs::is_directory(path)) {
    const fs::path config = path / "config.json";
    if (fs::exists(path / "model_index.json") || !fs::exists(config)) return {};
    const std::string type = get_string(read_json_file(config, {.max_bytes = 1 << 20, .max_values = 10'000}),
                                        "_class_name", config.string());
    for (const ComponentKind& kind : component_kinds())
      if (kind.library == "diffusers" && kind.class_name == type) return kind.name;
    return {};
  }
  if (!fs::is_regular_file(path)) return {};
  switch (classify(*open_tensor_file(path)).kind) {
    case FileKind::unet:
      return kUnet;
    case FileKind::vae:
      return "vae";
    case FileKind::tiny_vae:
      return kTinyVaeFolder;
    default:
      return {};
  }
}
}  // namespace

ConvertedModel open_alone(std::string_view component, const fs::path& path, const EngineOptions& engine) {
  ConvertedModel model;
  model.path = path;
  if (component == kUnet) {
    ModelConfig rest = sdxl_base();
    rest.unet.down.clear();  // not known
    const UnetReplacement unet = open_unet({.unet = path, .unet_config = engine.unet_config}, rest);
    add_part(model, kUnet, unet.config, unet.component.weights);
    model.metadata = unet.file->metadata();
    model.scheduler_config = with_marks(sdxl_scheduler_config(), *unet.file, path.string(), {});
    return model;
  }
  const LoneComponent lone =
      component == "vae" ? open_vae(path).vae : open_tiny_vae(path.string(), {}, sdxl_base().vae);
  add_part(model, lone.name, lone.config, lone.component.weights);
  model.metadata = lone.component.weights->metadata();
  return model;
}

namespace {
ConvertedModel open_whole(const EngineOptions& engine, const LogSink& log) {
  const ModelSource source = open_model_of(engine, log);
  ConvertedModel model;
  model.path = source.path;
  model.config = source.config;
  model.config->unet.use_linear_projection = true;
  for (const auto& [component, config] : component_configs(source.config))
    if (const ComponentSource* part = source.find(component)) add_part(model, component, config, part->weights);
  if (const auto tiny = open_own_tiny_vae(source.path, source.config.vae))
    add_part(model, kTinyVaeFolder, tiny->config, tiny->component.weights);
  model.scheduler_config = source.scheduler_config;
  model.defaults = source.defaults;
  model.tokenizer = source.tokenizer;
  model.tokenizer_2 = source.tokenizer_2;
  model.metadata = source.component(kUnet).weights->metadata();
  return model;
}
}  // namespace

const ConvertedPart* ConvertedModel::find(std::string_view component) const {
  const auto at = std::ranges::find(parts, component, &ConvertedPart::component);
  return at == parts.end() ? nullptr : &*at;
}

namespace {
// The values of the parts are then those with the adapters.
void add_adapters(ConvertedModel& model, const EngineOptions& engine, std::span<const std::string> lora,
                  const LogSink& log) {
  if (lora.empty()) return;
  ModelConfig config = model.config.value_or(sdxl_base());
  const ConvertedPart* unet = model.find(kUnet);
  if (!model.config && unet != nullptr) config.unet = std::get<UnetConfig>(unet->config);
  Adapters adapters(config, log);
  const std::vector<AdapterUse> uses = adapters.open(engine, lora);
  for (ConvertedPart& part : model.parts) {
    auto patched = std::make_shared<PatchedCheckpoint>(part.stored);
    patched->set(changes_of(uses, part.component));
    part.weights = std::move(patched);
  }
  for (const AdapterUse& use : uses)
    for (const auto& [component, changes] : use.adapter->changes)
      if (model.find(component) == nullptr && log)
        log(LogLevel::warning, fmt::format("'{}' also changes the {}, which '{}' does not have",
                                           use.adapter->path.string(), component, model.path.string()));
}
}  // namespace

ConvertedModel open_converted_model(const EngineOptions& engine, std::span<const std::string> lora,
                                    const LogSink& log) {
  const auto with_adapters = [&](ConvertedModel model) {
    add_adapters(model, engine, lora, log);
    return model;
  };
  if (!engine.model.empty() && engine.preset.empty() && engine.unet.empty() && engine.vae.empty()) {
    const fs::path path = locate(engine, FileKind::checkpoint, engine.model);
    if (const std::string_view component = lone_component(path); !component.empty())
      return with_adapters(open_alone(component, path, engine));
  }
  return with_adapters(open_whole(engine, log));
}

}  // namespace tempera
