#include "source/tiny_vae.h"

#include "base/error.h"
#include "base/json.h"
#include "models/components.h"
#include "models/config_json.h"
#include "models/inventory.h"
#include "source/decoder_check.h"
#include "source/weight_files.h"
#include "weights/naming.h"
#include "weights/tensor_file.h"

namespace tempera {
namespace fs = std::filesystem;

namespace {

const ComponentKind& kind() {
  return component_kind(kTinyVaeFolder);
}

fs::path path_of(std::string_view where, const fs::path& model) {
  if (where != kModelsOwnTinyVae) return where;
  fs::path folder = model / kTinyVaeFolder;
  if (!fs::is_directory(folder)) {
    fail(ErrorCode::invalid_argument,
         "'{}' carries no tiny autoencoder (a folder {}): give {} the path of one, such as TAESDXL", model.string(),
         kTinyVaeFolder, FieldName{"tiny_vae"});
  }
  return folder;
}

TinyVaeConfig read_config(const fs::path& file) {
  return parse_tiny_vae_config(read_text_file(file, 1 << 20), file.string());
}

// In a diffusers folder, a file with the name that it has there has its config in the same folder.
TinyVaeConfig config_of_file(const fs::path& file) {
  const fs::path config = file.parent_path() / "config.json";
  const bool in_folder = file.filename().string().starts_with(kind().weights_stem()) && fs::exists(config);
  return in_folder ? read_config(config) : TinyVaeConfig();
}

void check_latents(const TinyVaeConfig& tiny, const VaeConfig& replaced, const std::string& what) {
  if (tiny.latent_channels == replaced.latent_channels && tiny.scale() == replaced.scale() &&
      tiny.out_channels == replaced.out_channels) {
    return;
  }
  fail(ErrorCode::bad_file,
       "'{}' decodes latents of {} channels, {} times enlarged, to {} colors, but the model has {}, {} and {}: give "
       "{} one for SDXL, such as TAESDXL",
       what, tiny.latent_channels, tiny.scale(), tiny.out_channels, replaced.latent_channels, replaced.scale(),
       replaced.out_channels, FieldName{"tiny_vae"});
}

LoneComponent open_checked(const fs::path& path, const VaeConfig& replaced) {
  if (!fs::exists(path)) {
    fail(ErrorCode::bad_file, "there is no tiny autoencoder '{}': give a diffusers folder or a .safetensors file",
         path.string());
  }
  TinyVaeConfig config;
  OpenedWeights opened;
  if (fs::is_directory(path)) {
    config = read_config(path / "config.json");
    opened = open_weight_files(find_weight_files(path, kind().weights_stem(), {"", "fp16"}));
  } else {
    opened = {open_tensor_file(path), {path}};
    config = config_of_file(path);
  }
  LoneComponent tiny{std::string(kTinyVaeFolder), path, config, {}};
  tiny.component.weights = with_canonical_names(std::move(opened.checkpoint), tiny.name);
  tiny.component.files = std::move(opened.files);
  check_latents(config, replaced, path.string());
  check_decoder(*tiny.component.weights, parameters(config), path.string(), {"tiny_vae"},
                "a diffusers AutoencoderTiny, as a folder or a .safetensors file");
  count_parameters(tiny.component);
  return tiny;
}

}  // namespace

LoneComponent open_tiny_vae(std::string_view where, const fs::path& model, const VaeConfig& replaced) {
  try {
    return open_checked(path_of(where, model), replaced);
  } catch (const fs::filesystem_error& error) {
    fail(ErrorCode::bad_file, "cannot look at '{}': {}", error.path1().string(), error.code().message());
  }
}

std::optional<LoneComponent> open_own_tiny_vae(const fs::path& model, const VaeConfig& replaced) {
  std::error_code error;
  if (!fs::is_directory(model / kTinyVaeFolder, error)) return std::nullopt;
  return open_tiny_vae(kModelsOwnTinyVae, model, replaced);
}

const TinyVaeConfig& tiny_vae_config(const LoneComponent& tiny) {
  return std::get<TinyVaeConfig>(tiny.config);
}

}  // namespace tempera
