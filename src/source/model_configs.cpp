#include "source/model_configs.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/json.h"
#include "models/config_json.h"
#include "source/absent_encoders.h"
#include "source/unet_source.h"

namespace tempera {
namespace fs = std::filesystem;

namespace {
using nlohmann::json;

bool contains(const std::vector<std::string>& names, std::string_view name) {
  return std::ranges::find(names, name) != names.end();
}

// The class of a component, "" if the index has null or nothing for it.
std::string component_class(const json& index, std::string_view component, const std::string& what) {
  const auto at = index.find(component);
  if (at == index.end() || at->is_null()) return "";
  const bool is_pair = at->is_array() && at->size() == 2;
  if (is_pair && (*at)[0].is_null() && (*at)[1].is_null()) return "";
  if (!is_pair || !(*at)[0].is_string() || !(*at)[1].is_string()) {
    fail(ErrorCode::bad_file, "'{}': {} is not given as a library and a class", what, component);
  }
  return (*at)[1].get<std::string>();
}

// The configuration of the autoencoder that replaces that of the folder `root`.
VaeConfig replacing_config(const ReplacingVae& vae, const fs::path& root) {
  const auto& config = std::get<VaeConfig>(vae.vae.config);
  const fs::path own = root / "vae" / "config.json";
  if (!fs::exists(own) || !config.latents_mean.empty()) return config;
  try {
    const VaeConfig replaced = parse_vae_config(read_text_file(own, kMaxConfigBytes), own.string());
    // A mean and a deviation belong to the UNet: another autoencoder does not change them.
    const bool models = !vae.has_config || !replaced.latents_mean.empty();
    return models ? with_latents_of(config, replaced) : config;
  } catch (const Error&) {
    return config;  // that of the model is broken, and is replaced
  }
}

}  // namespace

bool is_vae(const ComponentKind& kind) {
  return kind.name == "vae";
}

bool is_replaced(const ComponentKind& kind, const OpenOptions& options) {
  return kind.name == kUnet && !options.unet.empty();
}

ModelIndex read_model_index(const fs::path& file, const std::optional<ReplacingVae>& vae, bool text_encoders) {
  const json index = read_json_file(file, {.max_bytes = kMaxConfigBytes, .max_values = 10'000});
  const std::string what = file.string();
  const std::string pipeline = get_string(index, "_class_name", what);
  if (!pipeline.starts_with("StableDiffusionXL")) {
    fail(ErrorCode::bad_file, "'{}' is for a {}: only models of StableDiffusionXLPipeline and its kin are supported",
         what, in_quotes(pipeline));
  }
  ModelIndex result;
  for (const ComponentKind& kind : component_kinds()) {
    if (!kind.in_models() || (is_vae(kind) && vae)) continue;
    const std::string type = component_class(index, kind.name, what);
    if (type.empty() && kind.reads_prompts && !text_encoders) {
      result.absent_text_encoders.emplace_back(kind.name);
      continue;
    }
    if (type.empty() && (kind.optional || is_vae(kind))) continue;
    if (type.empty()) fail(ErrorCode::bad_file, "'{}' names no {}: the model is incomplete", what, kind.name);
    if (type != kind.class_name) {
      fail(ErrorCode::bad_file, "'{}': the {} is a {}, which is not supported: only {} is", what, kind.name,
           in_quotes(type), kind.class_name);
    }
    result.components.push_back(&kind);
  }
  result.force_zeros_for_empty_prompt = find_bool(index, "force_zeros_for_empty_prompt", what).value_or(true);
  result.requires_aesthetics_score = find_bool(index, "requires_aesthetics_score", what).value_or(false);
  return result;
}

ModelIndex usual_index(const fs::path& root, bool refiner, const std::optional<ReplacingVae>& vae) {
  ModelIndex index{{}, !refiner, refiner};
  for (const ComponentKind& kind : component_kinds()) {
    if (!kind.in_models() || (is_vae(kind) && vae)) continue;
    const bool optional_is_there = kind.reads_prompts ? !refiner : fs::exists(root / kind.name / "config.json");
    if (!kind.optional || optional_is_there) index.components.push_back(&kind);
  }
  return index;
}

ModelConfig read_configs(const fs::path& root, const ModelIndex& index, const OpenOptions& options,
                         const std::optional<ReplacingVae>& vae) {
  ModelConfig config;
  config.vae = vae ? replacing_config(*vae, root) : sdxl_base().vae;
  for (const ComponentKind* kind : index.components) {
    if (contains(index.absent_text_encoders, kind->name)) continue;
    if (is_vae(*kind) && !fs::is_directory(root / kind->name)) continue;
    const fs::path file = root / kind->name / "config.json";
    const bool missing = !fs::exists(fs::symlink_status(file));
    if (missing && is_replaced(*kind, options)) continue;
    if (missing) {
      fail(ErrorCode::bad_file, "'{}' is missing: the model is incomplete, get the file from where the model came from",
           file.string());
    }
    kind->set(config, kind->parse(read_text_file(file, kMaxConfigBytes), file.string()));
  }
  config.force_zeros_for_empty_prompt = index.force_zeros_for_empty_prompt;
  config.requires_aesthetics_score = index.requires_aesthetics_score;
  if (!index.absent_text_encoders.empty())
    assume_text_encoders(config, contains(index.absent_text_encoders, "text_encoder"),
                         contains(index.absent_text_encoders, "text_encoder_2"), root.string());
  return config;
}

}  // namespace tempera
