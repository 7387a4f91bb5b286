#include "source/classify.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "base/error.h"

namespace tempera {
namespace {

// The header of a file, with the questions that the rules below have.
class Header {
 public:
  explicit Header(const Checkpoint& file) : file_(file), names_(file.names()) {}

  bool has(std::string_view name) const { return std::binary_search(names_.begin(), names_.end(), name); }

  // The first name with that beginning, part or ending. Empty: there is none.
  std::string with_prefix(std::string_view prefix) const {
    const auto at = std::lower_bound(names_.begin(), names_.end(), prefix);
    return at != names_.end() && at->starts_with(prefix) ? *at : std::string();
  }
  std::string with_part(std::string_view part) const {
    return first([&](const std::string& name) { return name.find(part) != std::string::npos; });
  }
  std::string with_parts(std::string_view part, std::string_view ending) const {
    return first(
        [&](const std::string& name) { return name.ends_with(ending) && name.find(part) != std::string::npos; });
  }

  // A dimension of a tensor. 0: there is no such tensor or dimension, or its type is not supported.
  int64_t dim(const std::string& name, size_t index) const {
    try {
      const std::optional<CheckpointTensor> tensor = file_.find(name);
      return tensor && index < tensor->dims.size() ? tensor->dims[index] : 0;
    } catch (const Error&) {
      return 0;
    }
  }

  std::string metadata(const std::string& key) const {
    const auto at = file_.metadata().find(key);
    return at == file_.metadata().end() ? std::string() : at->second;
  }
  const std::vector<std::string>& names() const { return names_; }

 private:
  template <class Test>
  std::string first(const Test& test) const {
    const auto at = std::ranges::find_if(names_, test);
    return at == names_.end() ? std::string() : *at;
  }

  const Checkpoint& file_;
  std::vector<std::string> names_;
};

using Found = std::optional<FileClass>;

FileClass made(FileKind kind, std::string base, std::string reason) {
  FileClass result;
  result.kind = kind;
  result.base = std::move(base);
  result.reason = std::move(reason);
  return result;
}

// A part of a name that only one kind or family has.
struct Sign {
  std::string_view part, value;
};

// The family from the width of the text that a cross attention reads: CLIP L, OpenCLIP H, OpenCLIP G, CLIP L and G.
std::string base_of_width(int64_t width) {
  switch (width) {
    case 768:
      return "sd1";
    case 1024:
      return "sd2";
    case 1280:
      return "sdxl-refiner";
    case 2048:
      return "sdxl";
    default:
      return {};
  }
}

// The family from `modelspec.architecture` (Stability AI's ModelSpec) or kohya's `ss_base_model_version`.
std::string base_of_metadata(const Header& header) {
  constexpr std::array kFamilies = {
      Sign{"stable-diffusion-xl-v1-refiner", "sdxl-refiner"},
      Sign{"sdxl_refiner", "sdxl-refiner"},
      Sign{"stable-diffusion-xl", "sdxl"},
      Sign{"sdxl", "sdxl"},
      Sign{"stable-diffusion-v3", "sd3"},
      Sign{"sd3", "sd3"},
      Sign{"stable-diffusion-v2", "sd2"},
      Sign{"sd_v2", "sd2"},
      Sign{"stable-diffusion-v1", "sd1"},
      Sign{"sd_v1", "sd1"},
      Sign{"flux", "flux"},
  };
  for (const char* key : {"modelspec.architecture", "ss_base_model_version"}) {
    const std::string value = header.metadata(key);
    for (const Sign& family : kFamilies)
      if (value.find(family.part) != std::string::npos) return std::string(family.value);
  }
  return {};
}

// Parts of names that only the transformers of other families have. More specific rows are first.
constexpr std::array kTransformers = {
    Sign{"joint_blocks.0.", "sd3"},
    Sign{"distilled_guidance_layer.", "chroma"},
    Sign{"double_blocks.0.img_attn_qkv.", "hunyuan-video"},
    Sign{"individual_token_refiner.", "hunyuan-video"},
    Sign{"double_blocks.0.", "flux"},
    Sign{"single_transformer_blocks.0.", "flux"},
    Sign{"double_layers.0.", "aura-flow"},
    Sign{"mlp_t5.0.", "hunyuan-dit"},
    Sign{"clip_txt_mapper.", "stable-cascade"},
    Sign{"clip_txt_pooled_mapper.", "stable-cascade"},
    Sign{"clip_mapper.", "stable-cascade"},
    Sign{"t5_yproj.", "mochi"},
    Sign{"patchify_proj.", "ltx-video"},
    Sign{"cap_embedder.", "lumina"},
    Sign{"caption_embedder.", "lumina"},
    Sign{"txt_norm.weight", "qwen-image"},
    Sign{"t_block.1.weight", "pixart"},
    Sign{"csize_embedder.", "pixart"},
    Sign{"adaln_single.", "pixart"},
    Sign{"head.modulation", "wan"},
    Sign{"transformer_blocks.0.attn.add_q_proj.", "sd3"},
};

std::string base_of_transformer(const Header& header) {
  for (const Sign& sign : kTransformers)
    if (!header.with_part(sign.part).empty()) return std::string(sign.value);
  return {};
}

std::string base_of_lora(const Header& header) {
  for (const char* down :
       {".lora_down.weight", ".lora_A.weight", ".lora.down.weight", "_lora.down.weight", ".hada_w1_b", ".diff"})
    for (const char* attention : {"attn2_to_k", "attn2.to_k", "attn2.processor.to_k"})
      if (const std::string name = header.with_parts(attention, down); !name.empty())
        if (std::string base = base_of_width(header.dim(name, 1)); !base.empty()) return base;
  if (std::string base = base_of_metadata(header); !base.empty()) return base;
  // Kohya's trainer numbers the text encoders of SDXL only.
  const std::string text = header.with_parts("lora_te_text_model", "_q_proj.lora_down.weight");
  if (std::string base = base_of_width(header.dim(text, 1)); !base.empty()) return base;
  for (const char* second : {"lora_te2_", "text_encoder_2.", "add_embedding", "label_emb"})
    if (!header.with_part(second).empty()) return "sdxl";
  for (const char* flux : {"double_blocks", "single_transformer_blocks"})
    if (!header.with_part(flux).empty()) return "flux";
  return header.with_part("joint_blocks").empty() ? std::string() : "sd3";
}

Found lora(const Header& header) {
  constexpr std::array kParts = {".lora_down.",
                                 ".lora_A.",
                                 ".lora.down.",
                                 "_lora.down.",
                                 "lora_linear_layer.",
                                 ".hada_w1_a",
                                 ".hada_w1_b",
                                 ".lokr_w1",
                                 ".lokr_w2",
                                 ".dora_scale",
                                 ".oft_blocks",
                                 ".oft_diag",
                                 "lora_unet_",
                                 "lora_te1_",
                                 "lora_te2_",
                                 "lora_te_",
                                 "lycoris_",
                                 "bundle_emb.",
                                 ".lora_magnitude_vector"};
  if (header.has("lora_controlnet")) return made(FileKind::controlnet, "sdxl", "lora_controlnet");
  for (const char* part : kParts)
    if (std::string name = header.with_part(part); !name.empty())
      return made(FileKind::lora, base_of_lora(header), std::move(name));
  return std::nullopt;
}

// The family from the width of vectors: (K, C) or (C). Those of OpenCLIP G alone are for the second encoder of SDXL.
std::string base_of_vectors(const Header& header, const std::string& name) {
  const int64_t second = header.dim(name, 1), width = second > 0 ? second : header.dim(name, 0);
  return width == 1280 ? "sdxl" : width == 768 || width == 1024 ? base_of_width(width) : std::string();
}

Found embedding(const Header& header) {
  // The first two are also the names of diffusers' older training scripts. Several families have CLIP L.
  for (const char* name : {"clip_g", "text_encoders_1"})
    if (header.has(name)) return made(FileKind::embedding, "sdxl", name);
  for (const char* name : {"clip_l", "text_encoders_0"})
    if (header.has(name)) return made(FileKind::embedding, {}, name);
  for (const std::string name : {"emb_params", "string_to_param.*"})
    if (header.has(name)) return made(FileKind::embedding, base_of_vectors(header, name), name);
  // diffusers: one tensor with the name of the word, "<cat>".
  if (header.names().size() == 1 && header.dim(header.names()[0], 0) > 0 && header.dim(header.names()[0], 2) == 0)
    if (std::string base = base_of_vectors(header, header.names()[0]); !base.empty())
      return made(FileKind::embedding, std::move(base), header.names()[0]);
  return std::nullopt;
}

// The family of a UNet or ControlNet whose names begin with `prefix`.
std::string base_of_unet(const Header& header, const std::string& prefix) {
  const std::string keys = header.with_parts(prefix, ".attn2.to_k.weight");
  const std::string by_width = base_of_width(header.dim(keys, 1));
  if (!header.with_part("time_stack.").empty()) return "svd";
  if (!header.with_prefix(prefix + "encoder_hid_proj.").empty()) return "kolors";
  const bool has_sizes =
      header.has(prefix + "label_emb.0.0.weight") || header.has(prefix + "add_embedding.linear_1.weight");
  // Stable Diffusion 2.1 unCLIP has a label_emb too.
  if (has_sizes) return by_width == "sd2" || by_width == "sdxl-refiner" ? by_width : "sdxl";
  if (!header.with_prefix("cond_stage_model.model.").empty()) return "sd2";
  if (!header.with_prefix("cond_stage_model.").empty()) return "sd1";
  // Distilled ControlNets of SDXL have no transformer, so their width is that of nothing.
  return by_width == "sdxl-refiner" ? std::string() : by_width;
}

Found controlnet(const Header& header) {
  for (const char* part :
       {"control_model.", "controlnet_cond_embedding.", "controlnet_down_blocks.", "input_hint_block."})
    if (std::string name = header.with_part(part); !name.empty()) {
      const std::string prefix = header.with_prefix("control_model.").empty() ? "" : "control_model.";
      return made(FileKind::controlnet, base_of_unet(header, prefix), std::move(name));
    }
  return std::nullopt;
}

Found adapter(const Header& header) {
  if (std::string name = header.with_part("to_k_ip."); !name.empty()) {
    std::string base = base_of_width(header.dim(name, 1));
    return made(FileKind::ip_adapter, std::move(base), std::move(name));
  }
  for (const std::string prefix : {"adapter.", ""})
    if (std::string name = header.with_prefix(prefix + "body.0."); !name.empty())
      if (header.has(prefix + "conv_in.weight")) {
        // Pixels unshuffled by 16 for SDXL, by 8 for Stable Diffusion 1; of one or three channels.
        const int64_t channels = header.dim(prefix + "conv_in.weight", 1);
        return made(FileKind::t2i_adapter, channels % 256 == 0 ? "sdxl" : "sd1", std::move(name));
      }
  return std::nullopt;
}

bool has_other_parts(const Header& header) {
  for (const char* part : {"conditioner.", "cond_stage_model.", "text_encoders.", "first_stage_model.", "vae."})
    if (!header.with_prefix(part).empty()) return true;
  return false;
}

// The text encoder that only some families have decides before widths, which small models do not share.
std::string base_of_checkpoint(const Header& header, const std::string& prefix) {
  if (!header.with_prefix("conditioner.embedders.1.model.transformer.").empty()) return "sdxl";
  if (!header.with_prefix("conditioner.embedders.0.model.transformer.").empty()) return "sdxl-refiner";
  return base_of_unet(header, prefix);
}

void read_marks(const Header& header, FileClass& model) {
  std::string said = header.metadata("modelspec.prediction_type");
  if (said.empty()) said = header.metadata("modelspec.predict_key");
  if (said == "v" || said == "v_prediction") model.prediction = "v_prediction";
  if (said == "epsilon" || said == "eps") model.prediction = "epsilon";
  const bool cosxl = header.has("edm_vpred.sigma_max");
  if (header.has("v_pred") || cosxl) model.prediction = "v_prediction";
  model.zero_terminal_snr = header.has("ztsnr");
  model.edm = cosxl || header.has("edm_mean");
}

Found model(const Header& header) {
  const FileKind kind = has_other_parts(header) ? FileKind::checkpoint : FileKind::unet;
  if (std::string base = base_of_transformer(header); !base.empty())
    return made(kind, std::move(base), "its transformer");
  for (const std::string prefix : {"model.diffusion_model.", "unet.", ""}) {
    std::string decided;
    for (const char* name : {"time_embed.0.weight", "input_blocks.0.0.weight", "time_embedding.linear_1.weight"})
      if (decided.empty() && header.has(prefix + name)) decided = prefix + name;
    if (decided.empty() && prefix.starts_with("model.")) decided = header.with_prefix(prefix);
    if (decided.empty()) continue;
    FileClass result = made(kind, base_of_checkpoint(header, prefix), std::move(decided));
    // Latents, a mask and a masked picture.
    for (const char* first : {"input_blocks.0.0.weight", "conv_in.weight"})
      result.inpainting = result.inpainting || header.dim(prefix + first, 1) == 9;
    read_marks(header, result);
    return result;
  }
  return std::nullopt;
}

Found autoencoder(const Header& header) {
  for (const std::string prefix : {"", "first_stage_model.", "vae."}) {
    for (const char* half : {"decoder.", "encoder."})
      for (const char* level : {"up.0.", "up_blocks.0.", "down.0.", "down_blocks.0."})
        if (std::string name = header.with_prefix(prefix + half + level); !name.empty()) {
          // Latents of 4 channels are those of Stable Diffusion 1, 2 and XL.
          const bool of_16 = header.dim(prefix + "decoder.conv_in.weight", 1) == 16;
          return made(FileKind::vae, of_16 ? "16-channel" : base_of_metadata(header), std::move(name));
        }
    if (header.has(prefix + "decoder.layers.0.weight"))
      return made(FileKind::tiny_vae, {}, prefix + "decoder.layers.0.weight");
  }
  for (const char* part : {"taesd_decoder.", "taesd_encoder."})
    if (std::string name = header.with_prefix(part); !name.empty())
      return made(FileKind::tiny_vae, {}, std::move(name));
  return std::nullopt;
}

Found text_or_image_encoder(const Header& header) {
  constexpr std::array kTexts = {Sign{"token_embedding.weight", ""}, Sign{"text_model.encoder.layers.0.", ""},
                                 Sign{"transformer.resblocks.0.", "clip-g"},
                                 Sign{"encoder.block.0.layer.0.SelfAttention.", "t5"}};
  for (const Sign& text : kTexts)
    if (std::string name = header.with_part(text.part); !name.empty()) {
      std::string base(text.value);
      const int64_t width = header.dim(name, 1);
      if (name.ends_with("token_embedding.weight"))
        base = width == 768 ? "clip-l" : width == 1280 ? "clip-g" : width == 1024 ? "clip-h" : "";
      return made(FileKind::text_encoder, std::move(base), std::move(name));
    }
  for (const char* part : {"vision_model.", "visual.transformer."})
    if (std::string name = header.with_part(part); !name.empty())
      return made(FileKind::image_encoder, {}, std::move(name));
  return std::nullopt;
}

Found upscaler(const Header& header) {
  for (const char* part : {".rdb1.conv1.", ".RDB1.conv1.", "conv_first.", ".residual_group.", "upsampler.0."})
    if (std::string name = header.with_part(part); !name.empty()) return made(FileKind::upscaler, {}, std::move(name));
  return std::nullopt;
}

}  // namespace

FileClass classify(const Checkpoint& file) {
  const Header header(file);
  // More specific kinds are first: a ControlNet contains half a UNet, a checkpoint an autoencoder.
  for (const auto rule : {lora, embedding, controlnet, adapter, model, autoencoder, text_or_image_encoder, upscaler})
    if (Found found = rule(header)) return *std::move(found);
  return {};
}

}  // namespace tempera
