#include "models/config_writer.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "models/components.h"

namespace tempera {
namespace {

using Json = nlohmann::ordered_json;

std::string text(const Json& json) {
  return json.dump(2) + "\n";
}

bool has_transformers(const UnetBlock& block) {
  return std::any_of(block.depths.begin(), block.depths.end(), [](int depth) { return depth > 0; });
}

Json mid_block_type(UnetMidBlock::Kind kind) {
  switch (kind) {
    case UnetMidBlock::Kind::cross_attention:
      return "UNetMidBlock2DCrossAttn";
    case UnetMidBlock::Kind::resnet:
      return "UNetMidBlock2D";
    case UnetMidBlock::Kind::none:
      break;
  }
  return nullptr;
}

}  // namespace

std::string to_json(const ClipConfig& c) {
  const bool projects = c.projection_dim > 0;
  return text({{"architectures", {projects ? "CLIPTextModelWithProjection" : "CLIPTextModel"}},
               {"model_type", "clip_text_model"},
               {"vocab_size", c.vocab_size},
               {"hidden_size", c.hidden_size},
               {"intermediate_size", c.intermediate_size},
               {"num_hidden_layers", c.num_hidden_layers},
               {"num_attention_heads", c.num_attention_heads},
               {"max_position_embeddings", c.max_position_embeddings},
               {"hidden_act", c.hidden_act == ClipActivation::quick_gelu ? "quick_gelu" : "gelu"},
               {"layer_norm_eps", c.layer_norm_eps},
               {"projection_dim", projects ? c.projection_dim : c.hidden_size},
               {"eos_token_id", c.eos_token_id}});
}

namespace {
// All transformers of the level have the same depth on the way down and up.
bool is_regular(const UnetBlock& down, const UnetBlock& up) {
  const auto same = [&](int depth) { return depth == down.depths[0]; };
  return std::ranges::all_of(down.depths, same) && std::ranges::all_of(up.depths, same);
}

// A list of one depth for each resnet; 1, which has no effect, for a block without transformers.
Json depths_of(const UnetBlock& block) {
  return has_transformers(block) ? Json(block.depths) : Json(1);
}
}  // namespace

std::string to_json(const UnetConfig& c) {
  Json down_types = Json::array(), up_types = Json::array(), channels = Json::array(), heads = Json::array(),
       depths = Json::array(), reverse_depths = Json::array();
  bool regular = true;
  for (size_t i = 0; i < c.down.size(); ++i) {
    const UnetBlock &down = c.down[i], &up = c.up[c.up.size() - 1 - i];
    TEMPERA_ASSERT(up.heads == down.heads);
    down_types.push_back(has_transformers(down) ? "CrossAttnDownBlock2D" : "DownBlock2D");
    up_types.insert(up_types.begin(), has_transformers(up) ? "CrossAttnUpBlock2D" : "UpBlock2D");
    channels.push_back(down.channels);
    // Blocks without transformers have the heads that transformers would have: as wide as those of the mid block.
    heads.push_back(down.heads > 0 ? down.heads : std::max(1, down.channels * c.mid.heads / c.down.back().channels));
    const bool same = is_regular(down, up);
    regular = regular && same;
    depths.push_back(same ? Json(std::max(1, down.depths[0])) : depths_of(down));
    reverse_depths.insert(reverse_depths.begin(), depths_of(up));
  }
  // The depth of the mid block is the last entry.
  if (c.mid.depth > 0) {
    const UnetBlock& last = c.down.back();
    TEMPERA_ASSERT(!has_transformers(last) || last.depths[0] == c.mid.depth);
    if (!has_transformers(last)) depths.back() = c.mid.depth;
  }
  Json json = {{"_class_name", "UNet2DConditionModel"},
               {"act_fn", "silu"},
               {"addition_embed_type", "text_time"},
               {"addition_time_embed_dim", c.addition_time_embed_dim},
               {"attention_head_dim", heads},
               {"block_out_channels", channels},
               {"cross_attention_dim", c.cross_attention_dim},
               {"down_block_types", down_types},
               {"flip_sin_to_cos", c.flip_sin_to_cos},
               {"freq_shift", c.freq_shift},
               {"in_channels", c.in_channels},
               {"layers_per_block", c.down[0].resnets()},
               {"mid_block_type", mid_block_type(c.mid.kind)},
               {"norm_eps", c.norm_eps},
               {"norm_num_groups", c.norm_num_groups},
               {"out_channels", c.out_channels},
               {"projection_class_embeddings_input_dim", c.projection_class_embeddings_input_dim},
               {"sample_size", c.sample_size},
               {"time_embedding_dim", c.time_embedding_dim},
               {"transformer_layers_per_block", depths},
               {"up_block_types", up_types},
               {"use_linear_projection", c.use_linear_projection}};
  if (!regular) json["reverse_transformer_layers_per_block"] = reverse_depths;
  if (c.time_cond_proj_dim > 0) json["time_cond_proj_dim"] = c.time_cond_proj_dim;
  return text(json);
}

std::string to_json(const VaeConfig& c) {
  const size_t blocks = c.block_out_channels.size();
  Json json = {{"_class_name", "AutoencoderKL"},
               {"act_fn", "silu"},
               {"block_out_channels", c.block_out_channels},
               {"down_block_types", std::vector<std::string>(blocks, "DownEncoderBlock2D")},
               {"up_block_types", std::vector<std::string>(blocks, "UpDecoderBlock2D")},
               {"force_upcast", c.force_upcast},
               {"in_channels", c.in_channels},
               {"latent_channels", c.latent_channels},
               {"layers_per_block", c.layers_per_block},
               {"mid_block_add_attention", c.mid_block_add_attention},
               {"norm_num_groups", c.norm_num_groups},
               {"out_channels", c.out_channels},
               {"sample_size", c.sample_size},
               {"scaling_factor", c.scaling_factor},
               {"use_post_quant_conv", c.use_post_quant_conv},
               {"use_quant_conv", c.use_quant_conv}};
  if (!c.latents_mean.empty()) json["latents_mean"] = c.latents_mean;
  if (!c.latents_std.empty()) json["latents_std"] = c.latents_std;
  return text(json);
}

std::string to_json(const TinyVaeConfig& c) {
  return text({{"_class_name", "AutoencoderTiny"},
               {"act_fn", "relu"},
               {"decoder_block_out_channels", c.decoder_block_out_channels},
               {"encoder_block_out_channels", c.encoder_block_out_channels},
               {"in_channels", c.in_channels},
               {"latent_channels", c.latent_channels},
               {"num_decoder_blocks", c.num_decoder_blocks},
               {"num_encoder_blocks", c.num_encoder_blocks},
               {"out_channels", c.out_channels},
               {"scaling_factor", c.scaling_factor},
               {"upsample_fn", "nearest"},
               {"upsampling_scaling_factor", 2}});
}

std::string model_index_json(const ModelConfig& c, const std::string& scheduler_class) {
  const nlohmann::json none = {nullptr, nullptr}, tokenizer = {"transformers", "CLIPTokenizer"};
  nlohmann::json json = {
      // sorted by key, as diffusers writes it
      {"_class_name", c.requires_aesthetics_score ? "StableDiffusionXLImg2ImgPipeline" : "StableDiffusionXLPipeline"},
      {"force_zeros_for_empty_prompt", c.force_zeros_for_empty_prompt},
      {"scheduler", {"diffusers", scheduler_class}},
      {"tokenizer", c.text_encoder ? tokenizer : none},
      {"tokenizer_2", tokenizer}};
  for (const ComponentKind& kind : component_kinds()) {
    if (!kind.in_models()) continue;
    json[std::string(kind.name)] = kind.get(c) ? nlohmann::json{kind.library, kind.class_name} : none;
  }
  if (c.requires_aesthetics_score) json["requires_aesthetics_score"] = true;
  return text(json);
}

}  // namespace tempera
