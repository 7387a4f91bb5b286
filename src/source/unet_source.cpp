#include "source/unet_source.h"

#include <algorithm>
#include <array>
#include <optional>
#include <utility>

#include "base/error.h"
#include "base/json.h"
#include "models/components.h"
#include "models/config_json.h"
#include "models/inventory.h"
#include "source/ldm_config.h"
#include "source/weight_files.h"
#include "weights/naming.h"
#include "weights/tensor_file.h"

namespace tempera {
namespace fs = std::filesystem;

namespace {

constexpr size_t kMaxConfigBytes = 1 << 20;
constexpr std::string_view kPrefix = "model.diffusion_model.";
constexpr std::string_view kOriginalInput = "input_blocks.0.0.weight", kDiffusersInput = "conv_in.weight";

UnetConfig read_config(const fs::path& file) {
  return parse_unet_config(read_text_file(file, kMaxConfigBytes), file.string());
}

UnetConfig read_given_config(const fs::path& path) {
  if (!fs::exists(path)) {
    fail(ErrorCode::bad_file, "there is no '{}': give {} the config.json of the UNet or its folder", path.string(),
         FieldName{"unet_config"});
  }
  return read_config(fs::is_directory(path) ? path / "config.json" : path);
}

// A folder under diffusers' names has its config in it.
std::optional<UnetConfig> config_next_to(const fs::path& weights) {
  const fs::path config = weights.parent_path() / "config.json";
  const bool in_folder = weights.filename().string().starts_with(component_kind(kUnet).weights_stem());
  return in_folder && fs::exists(config) ? std::optional(read_config(config)) : std::nullopt;
}

// A difference between the tensors and the parameters of a UNet with this config; "" if there is none.
std::string misfit(const Checkpoint& tensors, const UnetConfig& config) {
  std::vector<std::string> unknown = tensors.names();
  for (const Parameter& parameter : parameters(config)) {
    const std::optional<CheckpointTensor> tensor = tensors.find(parameter.name);
    if (!tensor) return fmt::format("the tensor {} is missing", tensors.origin(parameter.name));
    const auto expected = parameter.shape.dims();
    if (!std::equal(expected.begin(), expected.end(), tensor->dims.begin(), tensor->dims.end())) {
      return fmt::format("the tensor {} is {}, expected {}", tensors.origin(parameter.name),
                         dims_to_string(tensor->dims), to_string(parameter.shape));
    }
    const auto at = std::lower_bound(unknown.begin(), unknown.end(), parameter.name);
    if (at != unknown.end() && *at == parameter.name) unknown.erase(at);
  }
  return unknown.empty() ? "" : fmt::format("the tensor {} is not part of it", tensors.origin(unknown[0]));
}

// The names of a file begin with the prefix of whole checkpoints, or with none.
std::shared_ptr<const Checkpoint> with_prefix(std::shared_ptr<const Checkpoint> file, std::string_view prefix) {
  AdaptedCheckpoint::Table table;
  for (const std::string& name : file->names()) {
    if (name.starts_with(prefix)) table.emplace(std::string(kPrefix).append(name.substr(prefix.size())), Source{name});
  }
  return std::make_shared<AdaptedCheckpoint>(std::move(file), std::move(table));
}

// The UNet in the file, under diffusers' names.
std::shared_ptr<const Checkpoint> unet_of(std::shared_ptr<const Checkpoint> file, const std::string& what) {
  const std::vector<std::string> names = file->names();
  const auto has = [&](const std::string& name) { return std::binary_search(names.begin(), names.end(), name); };
  if (has(std::string(kDiffusersInput))) return with_canonical_names(std::move(file), kUnet);
  for (const std::string_view prefix : {kPrefix, std::string_view(), std::string_view("diffusion_model.")}) {
    if (!has(std::string(prefix).append(kOriginalInput))) continue;
    if (prefix != kPrefix) file = with_prefix(std::move(file), prefix);
    const LdmNames ldm(read_unet_layout(*file));
    return ldm.component(std::move(file), kUnet);
  }
  fail(ErrorCode::bad_file, "'{}' has no UNet of SDXL: it has neither a tensor {} nor {}; give {} a file that has one",
       what, kOriginalInput, kDiffusersInput, FieldName{"unet"});
}

// SDXL's numbers of a size follow from the width that remains next to the pooled text.
UnetConfig from_shapes(const Checkpoint& tensors, const ModelConfig& model) {
  UnetConfig config = read_unet_shapes(tensors);
  config.addition_time_embed_dim =
      (config.projection_class_embeddings_input_dim - model.text_encoder_2.projection_dim) /
      model.micro_conditioning_count();
  return config;
}

UnetConfig config_of(const Checkpoint& tensors, const std::optional<UnetConfig>& given, const ModelConfig& model,
                     const std::string& what) {
  const bool own_is_known = !model.unet.down.empty();
  if (!given && own_is_known && misfit(tensors, model.unet).empty()) return model.unet;
  UnetConfig config = given ? *given : from_shapes(tensors, model);
  check(config, what);
  if (const std::string problem = misfit(tensors, config); !problem.empty()) {
    fail(ErrorCode::bad_file, "'{}' does not fit its configuration, {}: give {} the config.json of this UNet", what,
         problem, FieldName{"unet_config"});
  }
  return config;
}
}  // namespace

UnetReplacement open_unet(const OpenOptions& options, const ModelConfig& model) {
  const fs::path& where = options.unet;
  if (!fs::exists(where)) {
    fail(ErrorCode::bad_file, "there is no UNet '{}': give {} a .safetensors or .gguf file, or a diffusers folder",
         where.string(), FieldName{"unet"});
  }
  std::optional<UnetConfig> config;
  if (!options.unet_config.empty()) config = read_given_config(options.unet_config);
  const std::string what = where.string();
  UnetReplacement unet;
  if (fs::is_directory(where)) {
    const fs::path folder = fs::exists(where / "config.json") ? where : where / kUnet;
    const WeightFiles files =
        find_weight_files(folder, component_kind(kUnet).weights_stem(), variants_of(options.variant));
    OpenedWeights opened = open_weight_files(files);
    if (!config) config = read_config(folder / "config.json");
    unet.file = opened.checkpoint;
    unet.component.weights = with_canonical_names(std::move(opened.checkpoint), kUnet);
    unet.component.files = std::move(opened.files);
    unet.component.variant = files.variant;
  } else {
    unet.file = open_tensor_file(where);
    if (!config) config = config_next_to(where);
    unet.component.weights = unet_of(unet.file, what);
    unet.component.files = {where};
  }
  unet.config = config_of(*unet.component.weights, config, model, what);
  return unet;
}

}  // namespace tempera
