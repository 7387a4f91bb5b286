// The names of single-file checkpoints: tables for the modules, and their places. Module numbering: diffusers
// convert_ldm_unet_checkpoint and convert_ldm_vae_checkpoint (loaders/single_file_utils.py), generalised to any number
// of resnets per level.
#include "weights/ldm_pairs.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "weights/canonical.h"

namespace tempera {
namespace {
constexpr std::string_view kClipL = "conditioner.embedders.0.transformer.";
constexpr std::string_view kVae = "first_stage_model.";
constexpr std::string_view kOtherVae = "vae.";
constexpr std::array<std::string_view, 4> kBareVae = {"encoder.", "decoder.", "quant_conv.", "post_quant_conv."};
constexpr std::string_view kVaeAttentionPlace = ".mid.attn_1.";

// The attention of autoencoders that were converted from diffusers: names of its versions in the place of q, k, v.
struct Spelling {
  std::string_view other, own;
};
constexpr std::array kOtherAttention = {Spelling{"to_q.", "q."},
                                        Spelling{"query.", "q."},
                                        Spelling{"to_k.", "k."},
                                        Spelling{"key.", "k."},
                                        Spelling{"to_v.", "v."},
                                        Spelling{"value.", "v."},
                                        Spelling{"to_out.0.", "proj_out."},
                                        Spelling{"proj_attn.", "proj_out."},
                                        Spelling{"group_norm.", "norm."}};

// The names in modules of each kind.
constexpr std::array kSame = {LdmPair{"", ""}};

constexpr std::array kTransposed = {LdmPair{"", "", Transform::transpose}};

constexpr std::array kTextLayer = {
    LdmPair{"ln_1.", "layer_norm1."},
    LdmPair{"ln_2.", "layer_norm2."},
    LdmPair{"mlp.c_fc.", "mlp.fc1."},
    LdmPair{"mlp.c_proj.", "mlp.fc2."},
    LdmPair{"attn.out_proj.", "self_attn.out_proj."},
    LdmPair{"attn.in_proj_weight", "self_attn.q_proj.weight", Transform::third_0},
    LdmPair{"attn.in_proj_bias", "self_attn.q_proj.bias", Transform::third_0},
    LdmPair{"attn.in_proj_weight", "self_attn.k_proj.weight", Transform::third_1},
    LdmPair{"attn.in_proj_bias", "self_attn.k_proj.bias", Transform::third_1},
    LdmPair{"attn.in_proj_weight", "self_attn.v_proj.weight", Transform::third_2},
    LdmPair{"attn.in_proj_bias", "self_attn.v_proj.bias", Transform::third_2},
};

constexpr std::array kTimeEmbedding = {
    LdmPair{"0.", "linear_1."},
    LdmPair{"2.", "linear_2."},
    LdmPair{"cond_proj.", "cond_proj."},
};

constexpr std::array kAddEmbedding = {LdmPair{"0.", "linear_1."}, LdmPair{"2.", "linear_2."}};

constexpr std::array kUnetOut = {LdmPair{"0.", "norm_out."}, LdmPair{"2.", "out."}};

constexpr std::array kUnetResnet = {
    LdmPair{"in_layers.0.", "norm1."},          LdmPair{"in_layers.2.", "conv1."},
    LdmPair{"out_layers.0.", "norm2."},         LdmPair{"out_layers.3.", "conv2."},
    LdmPair{"emb_layers.1.", "time_emb_proj."}, LdmPair{"skip_connection.", "conv_shortcut."},
};

constexpr std::array<LdmPair, 4> transformer_pairs(Transform projection) {
  return {LdmPair{"norm.", "norm."}, LdmPair{"proj_in.", "proj_in.", projection},
          LdmPair{"proj_out.", "proj_out.", projection}, LdmPair{"transformer_blocks.", "transformer_blocks."}};
}
constexpr std::array kTransformer = transformer_pairs(Transform::none);
constexpr std::array kConvTransformer = transformer_pairs(Transform::squeeze);

constexpr std::array kDownsampler = {LdmPair{"op.", "conv."}};

constexpr std::array kUpsampler = {LdmPair{"conv.", "conv."}};

constexpr std::array kVaeResnet = {
    LdmPair{"norm1.", "norm1."},
    LdmPair{"conv1.", "conv1."},
    LdmPair{"norm2.", "norm2."},
    LdmPair{"conv2.", "conv2."},
    LdmPair{"nin_shortcut.", "conv_shortcut."},
};

constexpr std::array kVaeAttention = {
    LdmPair{"norm.", "group_norm."},
    LdmPair{"q.", "to_q.", Transform::squeeze},
    LdmPair{"k.", "to_k.", Transform::squeeze},
    LdmPair{"v.", "to_v.", Transform::squeeze},
    LdmPair{"proj_out.", "to_out.0.", Transform::squeeze},
};
}  // namespace

std::string ldm_open_clip(const LdmLayout& layout) {
  return fmt::format("conditioner.embedders.{}.model.", layout.has_text_encoder ? 1 : 0);
}

std::optional<std::string> ldm_usual_spelling(std::string_view name) {
  if (name.starts_with(kClipL)) {
    const auto canonical = canonical_text(name.substr(kClipL.size()));
    return canonical ? std::optional(std::string(kClipL) + canonical->name) : std::nullopt;
  }
  // Names in the usual spelling, as most are, cost no allocation.
  std::string_view rest = name;
  if (rest.starts_with(kOtherVae)) rest.remove_prefix(kOtherVae.size());
  const bool bare = std::ranges::any_of(kBareVae, [&](std::string_view part) { return rest.starts_with(part); });
  if (bare || rest.starts_with(kVae)) {
    if (const size_t at = rest.find(kVaeAttentionPlace); at != std::string_view::npos) {
      const size_t begin = at + kVaeAttentionPlace.size();
      for (const auto& [other, own] : kOtherAttention)
        if (rest.substr(begin).starts_with(other))
          return fmt::format("{}{}{}{}", bare ? kVae : "", rest.substr(0, begin), own,
                             rest.substr(begin + other.size()));
    }
  }
  if (bare) return std::string(kVae).append(rest);
  return rest.size() == name.size() ? std::nullopt : std::optional(std::string(rest));
}

LdmModules ldm_text_encoder(const LdmLayout& layout) {
  if (!layout.has_text_encoder) return {};
  return {{std::string(kClipL) + "text_model.", "text_model.", kSame}};
}

LdmModules ldm_text_encoder_2(const LdmLayout& layout) {
  const std::string model = ldm_open_clip(layout);
  LdmModules modules = {
      {model + "positional_embedding", "text_model.embeddings.position_embedding.weight", kSame},
      {model + "token_embedding.", "text_model.embeddings.token_embedding.", kSame},
      {model + "ln_final.", "text_model.final_layer_norm.", kSame},
  };
  if (layout.projection_is_linear) {
    modules.push_back({model + "text_projection.", "text_projection.", kSame});
  } else {
    modules.push_back({model + "text_projection", "text_projection.weight", kTransposed});
  }
  for (int i = 0; i < layout.text_encoder_2_layers; ++i) {
    modules.push_back({fmt::format("{}transformer.resblocks.{}.", model, i),
                       fmt::format("text_model.encoder.layers.{}.", i), kTextLayer});
  }
  return modules;
}

LdmModules ldm_unet(const LdmLayout& layout) {
  const std::string model = "model.diffusion_model.";
  LdmModules modules = {
      {model + "time_embed.", "time_embedding.", kTimeEmbedding},
      {model + "label_emb.0.", "add_embedding.", kAddEmbedding},
      {model + "input_blocks.0.0.", "conv_in.", kSame},
      {model + "out.", "conv_", kUnetOut},
  };
  const std::span<const LdmPair> transformer = layout.linear_projection ? kTransformer : kConvTransformer;

  const auto levels = static_cast<int>(layout.down_resnets.size());
  int block = 1;  // input_blocks.0 is conv_in; each resnet with its transformer is one, each downsampler is one
  for (int level = 0; level < levels; ++level) {
    for (int j = 0; j < layout.down_resnets[level]; ++j, ++block) {
      modules.push_back({fmt::format("{}input_blocks.{}.0.", model, block),
                         fmt::format("down_blocks.{}.resnets.{}.", level, j), kUnetResnet});
      modules.push_back({fmt::format("{}input_blocks.{}.1.", model, block),
                         fmt::format("down_blocks.{}.attentions.{}.", level, j), transformer});
    }
    if (level + 1 == levels) break;
    modules.push_back({fmt::format("{}input_blocks.{}.0.", model, block++),
                       fmt::format("down_blocks.{}.downsamplers.0.", level), kDownsampler});
  }

  modules.push_back({model + "middle_block.0.", "mid_block.resnets.0.", kUnetResnet});
  modules.push_back({model + "middle_block.1.", "mid_block.attentions.0.", transformer});
  modules.push_back({model + "middle_block.2.", "mid_block.resnets.1.", kUnetResnet});

  block = 0;  // an upsampler is part of the block of the last resnet before it
  for (int level = 0; level < levels; ++level) {
    const int resnets = layout.down_resnets[levels - 1 - level] + 1;
    for (int j = 0; j < resnets; ++j, ++block) {
      modules.push_back({fmt::format("{}output_blocks.{}.0.", model, block),
                         fmt::format("up_blocks.{}.resnets.{}.", level, j), kUnetResnet});
      modules.push_back({fmt::format("{}output_blocks.{}.1.", model, block),
                         fmt::format("up_blocks.{}.attentions.{}.", level, j), transformer});
    }
    if (level + 1 == levels) break;
    const int position = layout.up_ends_in_transformer.at(level) ? 2 : 1;
    modules.push_back({fmt::format("{}output_blocks.{}.{}.", model, block - 1, position),
                       fmt::format("up_blocks.{}.upsamplers.0.", level), kUpsampler});
  }
  return modules;
}

LdmModules ldm_vae(const LdmLayout& layout) {
  const std::string model(kVae);
  LdmModules modules = {{model + "quant_conv.", "quant_conv.", kSame},
                        {model + "post_quant_conv.", "post_quant_conv.", kSame}};
  for (const std::string half : {"encoder.", "decoder."}) {
    const std::string ldm = model + half;
    modules.push_back({ldm + "conv_in.", half + "conv_in.", kSame});
    modules.push_back({ldm + "norm_out.", half + "conv_norm_out.", kSame});
    modules.push_back({ldm + "conv_out.", half + "conv_out.", kSame});
    modules.push_back({ldm + "mid.block_1.", half + "mid_block.resnets.0.", kVaeResnet});
    modules.push_back({ldm + "mid.block_2.", half + "mid_block.resnets.1.", kVaeResnet});
    modules.push_back({ldm + "mid.attn_1.", half + "mid_block.attentions.0.", kVaeAttention});
  }
  for (int level = 0; level < layout.vae_levels; ++level) {
    const std::string down = fmt::format("encoder.down_blocks.{}.", level);
    const std::string ldm_down = fmt::format("{}encoder.down.{}.", model, level);
    // The decoder's levels are numbered from the outermost in single files, from the innermost in diffusers.
    const std::string up = fmt::format("decoder.up_blocks.{}.", layout.vae_levels - 1 - level);
    const std::string ldm_up = fmt::format("{}decoder.up.{}.", model, level);
    for (int j = 0; j < layout.vae_resnets; ++j) {
      modules.push_back({fmt::format("{}block.{}.", ldm_down, j), fmt::format("{}resnets.{}.", down, j), kVaeResnet});
    }
    for (int j = 0; j <= layout.vae_resnets; ++j) {
      modules.push_back({fmt::format("{}block.{}.", ldm_up, j), fmt::format("{}resnets.{}.", up, j), kVaeResnet});
    }
    modules.push_back({ldm_down + "downsample.conv.", down + "downsamplers.0.conv.", kSame});
    modules.push_back({ldm_up + "upsample.conv.", up + "upsamplers.0.conv.", kSame});
  }
  return modules;
}

}  // namespace tempera
