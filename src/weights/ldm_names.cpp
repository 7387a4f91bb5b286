// The name pairs of single-file checkpoints. Module numbering: diffusers convert_ldm_unet_checkpoint and
// convert_ldm_vae_checkpoint (loaders/single_file_utils.py), generalised to any number of resnets per level.
#include <fmt/format.h>

#include <algorithm>
#include <iterator>

#include "base/error.h"
#include "weights/canonical.h"
#include "weights/naming.h"

namespace tempera {
namespace {
constexpr std::string_view kClipL = "conditioner.embedders.0.transformer.";
constexpr std::string_view kVae = "first_stage_model.";
constexpr std::string_view kOtherVae = "vae.";

// The spelling in the pairs of what some files spell otherwise.
std::string usual_spelling(const std::string& name) {
  if (name.starts_with(kOtherVae)) return std::string(kVae) + name.substr(kOtherVae.size());
  if (name.starts_with(kClipL)) {
    const auto canonical = canonical_name(Component::text_encoder, name.substr(kClipL.size()));
    if (canonical) return std::string(kClipL) + canonical->name;
  }
  return name;
}
}  // namespace

LdmNames::LdmNames(const LdmLayout& layout) {
  if (layout.has_text_encoder) {
    by_ldm_[static_cast<size_t>(Component::text_encoder)] = {{std::string(kClipL) + "text_model.", "text_model."}};
  }
  by_ldm_[static_cast<size_t>(Component::text_encoder_2)] = open_clip_pairs(layout);
  by_ldm_[static_cast<size_t>(Component::unet)] = unet_pairs(layout);
  by_ldm_[static_cast<size_t>(Component::vae)] = vae_pairs(layout);
  by_diffusers_ = by_ldm_;
  for (Pairs& pairs : by_ldm_) std::ranges::stable_sort(pairs, {}, &Pair::ldm);
  for (Pairs& pairs : by_diffusers_) std::ranges::stable_sort(pairs, {}, &Pair::diffusers);
}

LdmNames::Pairs LdmNames::open_clip_pairs(const LdmLayout& layout) {
  const std::string model = fmt::format("conditioner.embedders.{}.model.", layout.has_text_encoder ? 1 : 0);
  Pairs pairs = {
      {model + "positional_embedding", "text_model.embeddings.position_embedding.weight"},
      {model + "token_embedding.", "text_model.embeddings.token_embedding."},
      {model + "ln_final.", "text_model.final_layer_norm."},
      {model + "text_projection", "text_projection.weight", Transform::transpose},
  };
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

LdmNames::Pairs LdmNames::unet_pairs(const LdmLayout& layout) {
  const std::string model = "model.diffusion_model.";
  Pairs pairs = {
      {model + "time_embed.0.", "time_embedding.linear_1."},
      {model + "time_embed.2.", "time_embedding.linear_2."},
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

LdmNames::Pairs LdmNames::vae_pairs(const LdmLayout& layout) {
  const std::string model(kVae);
  Pairs pairs = {{model + "quant_conv.", "quant_conv."}, {model + "post_quant_conv.", "post_quant_conv."}};
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

std::optional<Source> LdmNames::ldm_name(Component component, std::string_view diffusers_name) const {
  const Pairs& pairs = by_diffusers_[static_cast<size_t>(component)];
  const auto after = std::ranges::upper_bound(pairs, diffusers_name, {}, &Pair::diffusers);
  if (after == pairs.begin()) return std::nullopt;
  const Pair& pair = *std::prev(after);
  if (!diffusers_name.starts_with(pair.diffusers)) return std::nullopt;
  return Source{pair.ldm + std::string(diffusers_name.substr(pair.diffusers.size())), pair.transform};
}

std::shared_ptr<const Checkpoint> LdmNames::component(std::shared_ptr<const Checkpoint> file,
                                                      Component component) const {
  const Pairs& pairs = by_ldm_[static_cast<size_t>(component)];
  AdaptedCheckpoint::Table table;
  for (const std::string& name : file->names()) {
    const std::string ldm = usual_spelling(name);
    // Several pairs with the same prefix: q, k and v in one tensor.
    for (auto pair = std::ranges::upper_bound(pairs, ldm, {}, &Pair::ldm);
         pair != pairs.begin() && ldm.starts_with(std::prev(pair)->ldm); --pair) {
      const auto& [prefix, diffusers, given] = *std::prev(pair);
      const auto canonical = canonical_name(component, diffusers + ldm.substr(prefix.size()));
      if (!canonical) continue;
      const Transform transform = given == Transform::none ? canonical->transform : given;
      add_row(table, canonical->name, {name, transform}, *file);
    }
  }
  return std::make_shared<AdaptedCheckpoint>(std::move(file), std::move(table));
}

}  // namespace tempera
