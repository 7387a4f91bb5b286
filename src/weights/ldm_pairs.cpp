// The name pairs of single-file checkpoints. Module numbering: diffusers convert_ldm_unet_checkpoint and
// convert_ldm_vae_checkpoint (loaders/single_file_utils.py), generalised to any number of resnets per level.
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
constexpr std::string_view kVaeAttention = ".mid.attn_1.";

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
    if (const size_t at = rest.find(kVaeAttention); at != std::string_view::npos) {
      const size_t begin = at + kVaeAttention.size();
      for (const auto& [other, own] : kOtherAttention)
        if (rest.substr(begin).starts_with(other))
          return fmt::format("{}{}{}{}", bare ? kVae : "", rest.substr(0, begin), own,
                             rest.substr(begin + other.size()));
    }
  }
  if (bare) return std::string(kVae).append(rest);
  return rest.size() == name.size() ? std::nullopt : std::optional(std::string(rest));
}

LdmPairs ldm_text_encoder(const LdmLayout& layout) {
  if (!layout.has_text_encoder) return {};
  return {{std::string(kClipL) + "text_model.", "text_model."}};
}

LdmPairs ldm_text_encoder_2(const LdmLayout& layout) {
  const std::string model = ldm_open_clip(layout);
  LdmPairs pairs = {
      {model + "positional_embedding", "text_model.embeddings.position_embedding.weight"},
      {model + "token_embedding.", "text_model.embeddings.token_embedding."},
      {model + "ln_final.", "text_model.final_layer_norm."},
  };
  if (layout.projection_is_linear) {
    pairs.push_back({model + "text_projection.", "text_projection."});
  } else {
    pairs.push_back({model + "text_projection", "text_projection.weight", Transform::transpose});
  }
  for (int i = 0; i < layout.text_encoder_2_layers; ++i) {
    const std::string ldm = fmt::format("{}transformer.resblocks.{}.", model, i);
    const std::string diffusers = fmt::format("text_model.encoder.layers.{}.", i);
    pairs.push_back({ldm + "ln_1.", diffusers + "layer_norm1."});
    pairs.push_back({ldm + "ln_2.", diffusers + "layer_norm2."});
    pairs.push_back({ldm + "mlp.c_fc.", diffusers + "mlp.fc1."});
    pairs.push_back({ldm + "mlp.c_proj.", diffusers + "mlp.fc2."});
    pairs.push_back({ldm + "attn.out_proj.", diffusers + "self_attn.out_proj."});
    for (const char* kind : {"weight", "bias"}) {
      const std::string packed = fmt::format("{}attn.in_proj_{}", ldm, kind);
      pairs.push_back({packed, fmt::format("{}self_attn.q_proj.{}", diffusers, kind), Transform::third_0});
      pairs.push_back({packed, fmt::format("{}self_attn.k_proj.{}", diffusers, kind), Transform::third_1});
      pairs.push_back({packed, fmt::format("{}self_attn.v_proj.{}", diffusers, kind), Transform::third_2});
    }
  }
  return pairs;
}

LdmPairs ldm_unet(const LdmLayout& layout) {
  const std::string model = "model.diffusion_model.";
  LdmPairs pairs = {
      {model + "time_embed.0.", "time_embedding.linear_1."},
      {model + "time_embed.2.", "time_embedding.linear_2."},
      {model + "time_embed.cond_proj.", "time_embedding.cond_proj."},
      {model + "label_emb.0.0.", "add_embedding.linear_1."},
      {model + "label_emb.0.2.", "add_embedding.linear_2."},
      {model + "input_blocks.0.0.", "conv_in."},
      {model + "out.0.", "conv_norm_out."},
      {model + "out.2.", "conv_out."},
  };
  const auto resnet = [&](const std::string& ldm, const std::string& diffusers) {
    pairs.push_back({ldm + "in_layers.0.", diffusers + "norm1."});
    pairs.push_back({ldm + "in_layers.2.", diffusers + "conv1."});
    pairs.push_back({ldm + "out_layers.0.", diffusers + "norm2."});
    pairs.push_back({ldm + "out_layers.3.", diffusers + "conv2."});
    pairs.push_back({ldm + "emb_layers.1.", diffusers + "time_emb_proj."});
    pairs.push_back({ldm + "skip_connection.", diffusers + "conv_shortcut."});
  };
  const auto transformer = [&](const std::string& ldm, const std::string& diffusers) {
    const Transform projection = layout.linear_projection ? Transform::none : Transform::squeeze;
    pairs.push_back({ldm + "norm.", diffusers + "norm."});
    pairs.push_back({ldm + "proj_in.", diffusers + "proj_in.", projection});
    pairs.push_back({ldm + "proj_out.", diffusers + "proj_out.", projection});
    pairs.push_back({ldm + "transformer_blocks.", diffusers + "transformer_blocks."});
  };

  const auto levels = static_cast<int>(layout.down_resnets.size());
  int block = 1;  // input_blocks.0 is conv_in; each resnet with its transformer is one, each downsampler is one
  for (int level = 0; level < levels; ++level) {
    const std::string down = fmt::format("down_blocks.{}.", level);
    for (int j = 0; j < layout.down_resnets[level]; ++j, ++block) {
      resnet(fmt::format("{}input_blocks.{}.0.", model, block), fmt::format("{}resnets.{}.", down, j));
      transformer(fmt::format("{}input_blocks.{}.1.", model, block), fmt::format("{}attentions.{}.", down, j));
    }
    if (level + 1 == levels) break;
    pairs.push_back({fmt::format("{}input_blocks.{}.0.op.", model, block++), down + "downsamplers.0.conv."});
  }

  resnet(model + "middle_block.0.", "mid_block.resnets.0.");
  transformer(model + "middle_block.1.", "mid_block.attentions.0.");
  resnet(model + "middle_block.2.", "mid_block.resnets.1.");

  block = 0;  // an upsampler is part of the block of the last resnet before it
  for (int level = 0; level < levels; ++level) {
    const std::string up = fmt::format("up_blocks.{}.", level);
    const int resnets = layout.down_resnets[levels - 1 - level] + 1;
    for (int j = 0; j < resnets; ++j, ++block) {
      resnet(fmt::format("{}output_blocks.{}.0.", model, block), fmt::format("{}resnets.{}.", up, j));
      transformer(fmt::format("{}output_blocks.{}.1.", model, block), fmt::format("{}attentions.{}.", up, j));
    }
    if (level + 1 == levels) break;
    const int position = layout.up_ends_in_transformer.at(level) ? 2 : 1;
    pairs.push_back(
        {fmt::format("{}output_blocks.{}.{}.conv.", model, block - 1, position), up + "upsamplers.0.conv."});
  }
  return pairs;
}

LdmPairs ldm_vae(const LdmLayout& layout) {
  const std::string model(kVae);
  LdmPairs pairs = {{model + "quant_conv.", "quant_conv."}, {model + "post_quant_conv.", "post_quant_conv."}};
  const auto resnet = [&](const std::string& ldm, const std::string& diffusers) {
    for (const char* same : {"norm1.", "conv1.", "norm2.", "conv2."}) pairs.push_back({ldm + same, diffusers + same});
    pairs.push_back({ldm + "nin_shortcut.", diffusers + "conv_shortcut."});
  };
  for (const std::string half : {"encoder.", "decoder."}) {
    pairs.push_back({model + half + "conv_in.", half + "conv_in."});
    pairs.push_back({model + half + "norm_out.", half + "conv_norm_out."});
    pairs.push_back({model + half + "conv_out.", half + "conv_out."});
    resnet(model + half + "mid.block_1.", half + "mid_block.resnets.0.");
    resnet(model + half + "mid.block_2.", half + "mid_block.resnets.1.");
    const std::string ldm = model + half + "mid.attn_1.", diffusers = half + "mid_block.attentions.0.";
    pairs.push_back({ldm + "norm.", diffusers + "group_norm."});
    pairs.push_back({ldm + "q.", diffusers + "to_q.", Transform::squeeze});
    pairs.push_back({ldm + "k.", diffusers + "to_k.", Transform::squeeze});
    pairs.push_back({ldm + "v.", diffusers + "to_v.", Transform::squeeze});
    pairs.push_back({ldm + "proj_out.", diffusers + "to_out.0.", Transform::squeeze});
  }
  for (int level = 0; level < layout.vae_levels; ++level) {
    const std::string down = fmt::format("encoder.down_blocks.{}.", level);
    const std::string ldm_down = fmt::format("{}encoder.down.{}.", model, level);
    // The decoder's levels are numbered from the outermost in single files, from the innermost in diffusers.
    const std::string up = fmt::format("decoder.up_blocks.{}.", layout.vae_levels - 1 - level);
    const std::string ldm_up = fmt::format("{}decoder.up.{}.", model, level);
    for (int j = 0; j < layout.vae_resnets; ++j) {
      resnet(fmt::format("{}block.{}.", ldm_down, j), fmt::format("{}resnets.{}.", down, j));
    }
    for (int j = 0; j <= layout.vae_resnets; ++j) {
      resnet(fmt::format("{}block.{}.", ldm_up, j), fmt::format("{}resnets.{}.", up, j));
    }
    pairs.push_back({ldm_down + "downsample.conv.", down + "downsamplers.0.conv."});
    pairs.push_back({ldm_up + "upsample.conv.", up + "upsamplers.0.conv."});
  }
  return pairs;
}

}  // namespace tempera
