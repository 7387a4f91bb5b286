#include "source/vae_file.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/error.h"
#include "base/json.h"
#include "models/components.h"
#include "models/config_json.h"
#include "models/inventory.h"
#include "source/classify.h"
#include "source/decoder_check.h"
#include "source/weight_files.h"
#include "weights/naming.h"
#include "weights/tensor_file.h"

namespace tempera {
namespace fs = std::filesystem;

namespace {

// Of levels and of resnets in one: all their names are made before they are checked, and more are refused then.
constexpr int kMaxVaeCount = 20;
constexpr size_t kMaxConfigBytes = 1 << 20;
constexpr std::string_view kRemedy = "an AutoencoderKL for SDXL, as a .safetensors file or a diffusers folder";

const ComponentKind& kind() {
  return component_kind("vae");
}

VaeConfig read_config(const fs::path& file) {
  return parse_vae_config(read_text_file(file, kMaxConfigBytes), file.string());
}

// The tensors of a file under diffusers' names. Empty: it has no autoencoder.
std::shared_ptr<const Checkpoint> tensors_of_file(const std::shared_ptr<const Checkpoint>& file) {
  if (file->find("decoder.up_blocks.0.resnets.0.conv1.weight")) return with_canonical_names(file, kind().name);
  LdmLayout layout;
  read_vae_layout(Shapes(*file), layout);
  return LdmNames(layout).component(file, kind().name);
}

ReplacingVae open_folder(const fs::path& folder, const std::string& variant) {
  const fs::path root = fs::exists(folder / "config.json") || !fs::exists(folder / kind().name / "config.json")
                            ? folder
                            : folder / kind().name;
  LoneComponent vae{std::string(kind().name), folder, read_config(root / "config.json"), {}};
  const WeightFiles files = find_weight_files(root, kind().weights_stem(), variants_of(variant));
  OpenedWeights opened = open_weight_files(files);
  vae.component.weights = with_canonical_names(std::move(opened.checkpoint), kind().name);
  vae.component.files = std::move(opened.files);
  vae.component.variant = files.variant;
  return {std::move(vae), true};
}

ReplacingVae open_file(const fs::path& path) {
  const std::shared_ptr<const Checkpoint> file = open_tensor_file(path);
  LoneComponent vae{std::string(kind().name), path, VaeConfig(), {}};
  vae.component.files = {path};
  vae.component.weights = tensors_of_file(file);
  if (!vae.component.weights->find("decoder.conv_in.weight")) {
    const FileClass file_class = classify(*file);
    if (file_class.kind == FileKind::tiny_vae)
      fail(ErrorCode::bad_file, "'{}' is {}: give it as {}", path.string(), describe(file_class),
           FieldName{"tiny_vae"});
    fail(ErrorCode::bad_file, "'{}' has no VAE (looks like {}): give {} {}", path.string(), describe(file_class),
         FieldName{"vae"}, kRemedy);
  }
  // In a diffusers folder, a file with the name that it has there has its config in the same folder.
  const fs::path config = path.parent_path() / "config.json";
  const bool has_config = path.filename().string().starts_with(kind().weights_stem()) && fs::exists(config);
  vae.config = has_config ? read_config(config) : vae_config_of(*vae.component.weights);
  return {std::move(vae), has_config};
}

}  // namespace

VaeConfig vae_config_of(const Checkpoint& tensors) {
  const Shapes shapes(tensors);
  VaeConfig vae;
  // Pruned files may have no encoder, so the decoder is used. Its blocks are innermost first.
  const int levels = shapes.extent("decoder.up_blocks.", kMaxVaeCount);
  int resnets = 0;
  for (int i = 0; i < levels; ++i)
    resnets = std::max(resnets, shapes.extent(fmt::format("decoder.up_blocks.{}.resnets.", i), kMaxVaeCount));
  vae.layers_per_block = resnets - 1;
  vae.latent_channels = shapes.dim("decoder.conv_in.weight", 1);
  vae.out_channels = shapes.dim("decoder.conv_out.weight", 0);
  vae.in_channels = vae.out_channels;
  for (int i = levels - 1; i >= 0; --i)
    vae.block_out_channels.push_back(shapes.dim(fmt::format("decoder.up_blocks.{}.resnets.0.conv2.weight", i), 0));
  vae.use_quant_conv = shapes.has("quant_conv.weight");
  vae.use_post_quant_conv = shapes.has("post_quant_conv.weight");
  vae.mid_block_add_attention = shapes.has("decoder.mid_block.attentions.0.to_q.weight");
  return vae;
}

void read_vae_layout(const Shapes& shapes, LdmLayout& layout) {
  for (const std::string prefix : {"first_stage_model.", "vae.", ""}) {
    layout.vae_levels = shapes.extent(prefix + "decoder.up.", kMaxVaeCount);
    layout.vae_resnets = 0;
    for (int i = 0; i < layout.vae_levels; ++i)
      layout.vae_resnets = std::max(layout.vae_resnets,
                                    shapes.extent(fmt::format("{}decoder.up.{}.block.", prefix, i), kMaxVaeCount) - 1);
    if (layout.vae_levels > 0) return;
  }
}

ReplacingVae open_vae(const fs::path& where, const std::string& variant) {
  if (!fs::exists(where))
    fail(ErrorCode::bad_file, "there is no VAE '{}': give {} {}", where.string(), FieldName{"vae"}, kRemedy);
  ReplacingVae opened = fs::is_directory(where) ? open_folder(where, variant) : open_file(where);
  const auto& config = std::get<VaeConfig>(opened.vae.config);
  check(config, where.string());
  check_decoder(*opened.vae.component.weights, parameters(config), where.string(), {"vae"}, kRemedy);
  count_parameters(opened.vae.component);
  return opened;
}

VaeConfig with_latents_of(VaeConfig vae, const VaeConfig& own) {
  vae.scaling_factor = own.scaling_factor;
  vae.latents_mean = own.latents_mean;
  vae.latents_std = own.latents_std;
  return vae;
}

void require_vae(const ModelSource& source) {
  if (source.find(kind().name) != nullptr) return;
  // Of a folder without the files: says which are missing, or that they are of another format.
  if (const fs::path folder = source.path / kind().name; fs::is_directory(folder))
    find_weight_files(folder, kind().weights_stem(), {""});
  fail(ErrorCode::bad_file, "'{}' has no VAE: give {} one for SDXL, as a .safetensors file or a diffusers folder",
       source.path.string(), FieldName{"vae"});
}

}  // namespace tempera
