#include "source/model_source.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <cctype>
#include <nlohmann/json.hpp>
#include <set>

#include "base/error.h"
#include "base/json.h"
#include "models/components.h"
#include "source/ldm_config.h"
#include "source/marks.h"
#include "source/model_configs.h"
#include "source/step_distilled.h"
#include "source/unet_source.h"
#include "source/vae_file.h"
#include "source/weight_files.h"
#include "weights/naming.h"
#include "weights/tensor_file.h"

namespace tempera {
namespace fs = std::filesystem;

namespace {
using nlohmann::json;

// Where the UNet is from: the file with its marks, and the file or folder that names it.
struct UnetOrigin {
  std::shared_ptr<const Checkpoint> file;
  fs::path path;
  bool has_scheduler = false;  // a sampler comes with it
};

// Opens the UNet that replaces the model's own, whose config is in `source` if it is known.
UnetOrigin replace_unet(ModelSource& source, const OpenOptions& options) {
  UnetReplacement unet = open_unet(options, source.config);
  source.config.unet = std::move(unet.config);
  source.components[std::string(kUnet)] = std::move(unet.component);
  check(source.config, options.unet.string());
  return {std::move(unet.file), options.unet};
}

// Sampler and defaults, by the marks of the UNet's file.
void set_sampling(ModelSource& source, const UnetOrigin& unet, const LogSink& log) {
  source.scheduler_config = with_marks(source.scheduler_config, *unet.file, unet.path.string(), log);
  set_step_distilled_defaults(source, *unet.file, unet.path, unet.has_scheduler, log);
}

void set_tokenizers(ModelSource& source, const OpenOptions& options) {
  const auto folder_or_empty = [](const fs::path& folder) { return fs::is_directory(folder) ? folder : fs::path(); };
  std::vector<fs::path> roots = {options.model_config, source.path};
  if (source.layout == ModelSource::Layout::diffusers_folder) std::swap(roots[0], roots[1]);
  if (!options.tokenizer.empty()) {
    if (!fs::is_directory(options.tokenizer)) {
      fail(ErrorCode::bad_file, "'{}' is no folder: give {} one with vocab.json and merges.txt or tokenizer.json",
           options.tokenizer.string(), FieldName{"tokenizer"});
    }
    roots = {options.tokenizer};
  }
  for (const fs::path& root : roots) {
    if (root.empty()) continue;
    if (source.tokenizer.empty()) source.tokenizer = folder_or_empty(root / "tokenizer");
    if (source.tokenizer_2.empty()) source.tokenizer_2 = folder_or_empty(root / "tokenizer_2");
  }
  // One vocabulary for both encoders, which differ in their padding alone.
  if (!options.tokenizer.empty()) {
    if (source.tokenizer.empty() && source.tokenizer_2.empty()) source.tokenizer_2 = options.tokenizer;
    if (source.tokenizer.empty()) source.tokenizer = source.tokenizer_2;
    if (source.tokenizer_2.empty()) source.tokenizer_2 = source.tokenizer;
  }
  if (!source.config.text_encoder) source.tokenizer.clear();
}

void warn(const OpenOptions& options, std::string_view message) {
  if (options.log) options.log(LogLevel::warning, message);
}

// Values that the file does not have stay.
RequestDefaults read_defaults(const fs::path& file, RequestDefaults defaults) {
  if (!fs::exists(file)) return defaults;
  const json object = read_json_file(file, {.max_bytes = kMaxConfigBytes, .max_values = 1000});
  const std::string what = file.string();
  if (const auto steps = find_int(object, "num_inference_steps", {1, 10000}, what)) {
    defaults.num_inference_steps = static_cast<int>(*steps);
  }
  if (const auto scale = find_number(object, "guidance_scale", what)) {
    if (!(*scale >= 0 && *scale <= 1000)) {
      fail(ErrorCode::bad_file, "'{}': guidance_scale is {}: it can be 0 to 1000", what, *scale);
    }
    defaults.guidance_scale = *scale;
  }
  return defaults;
}

ComponentSource& open_component(ModelSource& source, const ComponentKind& kind, const OpenOptions& options) {
  const WeightFiles files =
      find_weight_files(source.path / kind.name, kind.weights_stem(), variants_of(options.variant));
  OpenedWeights opened = open_weight_files(files);
  ComponentSource part;
  part.weights = with_canonical_names(std::move(opened.checkpoint), kind.name);
  part.files = std::move(opened.files);
  part.variant = files.variant;
  return source.components.insert_or_assign(std::string(kind.name), std::move(part)).first->second;
}

// At least one folder must have the requested variant: that of the model, or one that replaces a part of it. Of those
// that do not have it, the plain weights are used.
void check_variant(const ModelSource& source, const OpenOptions& options, const std::optional<ReplacingVae>& vae,
                   bool model_has_it) {
  if (options.variant.empty()) return;
  bool found = model_has_it;
  std::vector<std::string> without;
  const auto look = [&](const fs::path& path, const ComponentSource& part) {
    if (!part.variant.empty()) {
      found = true;
    } else if (fs::is_directory(path)) {
      without.push_back(path.string());
    }
  };
  if (!options.unet.empty()) look(options.unet, source.component(kUnet));
  if (vae) look(options.vae, vae->vae.component);
  if (!found) {
    fail(ErrorCode::invalid_argument, "no component of '{}' has the variant '{}': leave the variant out",
         source.path.string(), options.variant);
  }
  for (const std::string& folder : without)
    warn(options, fmt::format("'{}' has no variant '{}': its plain weights are used", folder, options.variant));
}

ModelSource open_folder(const fs::path& root, const OpenOptions& options, const std::optional<ReplacingVae>& vae) {
  const fs::path index_file = root / "model_index.json";
  if (!fs::exists(index_file)) {
    fail(ErrorCode::bad_file,
         "'{}' is no diffusers model, it has no model_index.json: give the folder that has it, or a "
         ".safetensors or .gguf file",
         root.string());
  }
  ModelIndex index = read_model_index(index_file, vae, options.text_encoders);
  const fs::path& configs = options.model_config.empty() ? root : options.model_config;
  for (const ComponentKind* kind : index.components) {
    const bool absent =
        kind->reads_prompts && !options.text_encoders && !fs::exists(configs / kind->name / "config.json");
    if (absent) index.absent_text_encoders.emplace_back(kind->name);
  }
  ModelSource source;
  source.path = root;
  source.config = read_configs(configs, index, options, vae);
  source.absent_text_encoders = index.absent_text_encoders;
  if (!source.config.text_encoder) std::erase(source.absent_text_encoders, "text_encoder");  // as in the refiner
  const fs::path scheduler = root / "scheduler" / "scheduler_config.json";
  if (fs::exists(scheduler)) source.scheduler_config = read_text_file(scheduler, kMaxConfigBytes);
  source.scheduler_origin = scheduler.string();
  UnetOrigin unet;
  if (options.unet.empty()) {
    check(source.config, configs.string());
  } else {
    unet = replace_unet(source, options);
  }

  std::vector<std::string_view> plain, variant;
  for (const ComponentKind* kind : index.components) {
    if (is_replaced(*kind, options)) continue;
    if (kind->reads_prompts && !options.text_encoders) {
      if (const auto files =
              look_for_weight_files(root / kind->name, kind->weights_stem(), variants_of(options.variant))) {
        (files->variant.empty() ? plain : variant).push_back(kind->name);
      }
      continue;
    }
    if (is_vae(*kind) && !look_for_weight_files(root / kind->name, kind->weights_stem(), variants_of(options.variant)))
      continue;
    const ComponentSource& part = open_component(source, *kind, options);
    (part.variant.empty() ? plain : variant).push_back(kind->name);
  }
  if (!unet.file) unet = {source.component(kUnet).weights, root, !source.scheduler_config.empty()};
  const fs::path defaults = root / "defaults.json";
  set_sampling(source, unet, fs::exists(defaults) ? LogSink() : options.log);
  source.defaults = read_defaults(defaults, source.defaults);
  check_variant(source, options, vae, !variant.empty());
  if (!plain.empty() && !variant.empty()) {
    const std::string how =
        options.variant.empty() ? "as fp16" : fmt::format("without the variant '{}'", options.variant);
    warn(options, fmt::format("'{}' has its {} {} only: using a mixture", root.string(),
                              fmt::join(options.variant.empty() ? variant : plain, ", "), how));
  }
  return source;
}

ModelSource open_single_file(const fs::path& path, const OpenOptions& options, const std::optional<ReplacingVae>& vae) {
  if (!options.variant.empty() && !fs::is_directory(options.unet) && !fs::is_directory(options.vae)) {
    fail(ErrorCode::invalid_argument, "'{}' is a single file, which has no variants: leave out the variant '{}'",
         path.string(), options.variant);
  }
  const std::shared_ptr<const Checkpoint> file = open_tensor_file(path);
  const std::string what = path.string();
  ModelSource source;
  source.path = path;
  source.layout = ModelSource::Layout::single_file;
  LdmLayout layout;
  UnetOrigin unet{file, path};
  if (options.model_config.empty()) {
    const LdmReplaced replaced{vae ? &std::get<VaeConfig>(vae->vae.config) : nullptr, !options.unet.empty()};
    LdmModel model = read_ldm_model(*file, what, replaced);
    source.config = std::move(model.config);
    source.scheduler_config = sdxl_scheduler_config();
    source.scheduler_origin = "the defaults of " + what;
    layout = std::move(model.layout);
  } else {
    const bool refiner = is_ldm_refiner(*file, what, !options.unet.empty());
    const fs::path index_file = options.model_config / "model_index.json";
    const ModelIndex index =
        fs::exists(index_file) ? read_model_index(index_file, vae) : usual_index(options.model_config, refiner, vae);
    if (index.has("text_encoder") == refiner) {
      fail(ErrorCode::bad_file, "'{}' is {} refiner, but the configs in '{}' are {}", what, refiner ? "a" : "no",
           options.model_config.string(), refiner ? "not for one" : "for one");
    }
    source.config = read_configs(options.model_config, index, options, vae);
    read_latents(*file, source.config.vae);
    if (options.unet.empty()) check(source.config, options.model_config.string());
    layout = ldm_layout(source.config);
    read_spelling(*file, layout);
    const fs::path scheduler = options.model_config / "scheduler" / "scheduler_config.json";
    const bool has_scheduler = unet.has_scheduler = fs::exists(scheduler);
    source.scheduler_config = has_scheduler ? read_text_file(scheduler, kMaxConfigBytes) : sdxl_scheduler_config();
    source.scheduler_origin = has_scheduler ? scheduler.string() : "the defaults of " + what;
  }

  if (const auto names = file->names(); std::count_if(names.begin(), names.end(), [](const auto& name) {
                                          return name.starts_with("model_ema.");
                                        }) > 100) {
    warn(options, fmt::format("'{}' also has averaged (EMA) weights, which are not used", what));
  }
  const LdmNames names(layout);
  for (const auto& [component, config] : component_configs(source.config)) {
    if (is_replaced(component_kind(component), options) || (component == "vae" && vae)) continue;
    ComponentSource part;
    part.weights = names.component(file, component);
    part.files = {path};
    if (component == "vae" && !part.weights->find("decoder.conv_in.weight")) continue;
    if (part.weights->names().empty()) {
      fail(ErrorCode::bad_file, "'{}' has no {}: use a file that has all of a model, or a diffusers folder", what,
           component);
    }
    source.components.emplace(component, std::move(part));
  }
  if (!options.unet.empty()) unet = replace_unet(source, options);
  check_variant(source, options, vae, false);
  set_sampling(source, unet, options.log);
  return source;
}
}  // namespace

void count_parameters(ComponentSource& component) {
  for (const std::string& name : component.weights->names()) {
    const CheckpointTensor tensor = component.weights->get(name);
    component.parameters += tensor.elements();
    component.parameters_by_type[tensor.stored_type()] += tensor.elements();
    component.bytes += tensor.stored_bytes();
  }
}

const ComponentSource* ModelSource::find(std::string_view component) const {
  const auto at = components.find(component);
  return at == components.end() ? nullptr : &at->second;
}

const ComponentSource& ModelSource::component(std::string_view name) const {
  const ComponentSource* part = find(name);
  TEMPERA_ASSERT(part != nullptr);
  return *part;
}

uint64_t ModelSource::file_bytes() const {
  std::set<fs::path> files;
  for (const auto& [name, part] : components) files.insert(part.files.begin(), part.files.end());
  uint64_t bytes = 0;
  for (const fs::path& file : files) bytes += fs::file_size(file);
  return bytes;
}

std::string_view ModelSource::kind() const {
  if (!config.text_encoder) return "SDXL refiner";
  return config.unet.in_channels == config.unet.out_channels ? "SDXL" : "SDXL inpainting";
}

namespace {
ModelSource open_checked(const fs::path& model, const OpenOptions& options) {
  const fs::file_status status = fs::status(model);
  if (!fs::exists(status)) {
    fail(ErrorCode::bad_file, "there is no model '{}': give a diffusers folder, or a .safetensors or .gguf file",
         model.string());
  }
  if (!options.model_config.empty() && !fs::is_directory(options.model_config)) {
    fail(ErrorCode::bad_file, "'{}' is no folder: give {} one with diffusers configs", options.model_config.string(),
         FieldName{"model_config"});
  }
  // Parts that replace others are opened before the model's own parts.
  std::optional<ReplacingVae> vae;
  if (!options.vae.empty()) vae = open_vae(options.vae, options.variant);
  ModelSource source =
      fs::is_directory(status) ? open_folder(model, options, vae) : open_single_file(model, options, vae);
  for (auto& [name, part] : source.components) count_parameters(part);
  if (vae) source.components.insert_or_assign(vae->vae.name, std::move(vae->vae.component));
  set_tokenizers(source, options);
  return source;
}

// A folder that may not be searched, a loop of symbolic links.
template <class Work>
auto naming_what_cannot_be_seen(Work&& work) {
  try {
    return work();
  } catch (const fs::filesystem_error& error) {
    fail(ErrorCode::bad_file, "cannot look at '{}': {}", error.path1().string(), error.code().message());
  }
}
}  // namespace

ModelSource open_model(const fs::path& model, const OpenOptions& options) {
  const auto is_word = [](unsigned char c) { return std::isalnum(c) != 0 || c == '_' || c == '-'; };
  if (!std::all_of(options.variant.begin(), options.variant.end(), is_word)) {
    fail(ErrorCode::invalid_argument, "the variant {} is no word: give one such as fp16", in_quotes(options.variant));
  }
  return naming_what_cannot_be_seen([&] { return open_checked(model, options); });
}

void open_text_encoders(ModelSource& source, const OpenOptions& options) {
  if (!source.absent_text_encoders.empty())
    fail(ErrorCode::bad_file, "'{}' was saved without its {}: give {}, or a model that has all text encoders",
         source.path.string(), fmt::join(source.absent_text_encoders, " and "), FieldName{"prompt_embeds"});
  naming_what_cannot_be_seen([&] {
    for (const auto& [name, config] : component_configs(source.config)) {
      const ComponentKind& kind = component_kind(name);
      if (kind.reads_prompts && source.find(name) == nullptr) count_parameters(open_component(source, kind, options));
    }
  });
}

}  // namespace tempera
