#include "models/config.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <numeric>
#include <string>
#include <utility>

#include "base/error.h"

namespace tempera {
namespace {
// Far above every published model, low enough that no product of three of them overflows 64 bits.
constexpr int kMaxWidth = 1 << 16;
constexpr int kMaxVocabulary = 1 << 24;
constexpr int kMaxLayers = 256;  // of a text encoder; of one transformer
constexpr int kMaxResnets = 16;  // per block
constexpr size_t kMaxBlocks = 8;

void check_range(int value, int min, int max, std::string_view key, std::string_view source) {
  if (value < min || value > max) {
    fail(ErrorCode::bad_file, "'{}': {} is {}, must be between {} and {}", source, key, value, min, max);
  }
}

void check_divides(int divisor, int value, std::string_view divisor_key, std::string_view key,
                   std::string_view source) {
  if (value % divisor != 0) {
    fail(ErrorCode::bad_file, "'{}': {} ({}) does not divide {} ({})", source, divisor_key, divisor, key, value);
  }
}

void check_even(int value, std::string_view key, std::string_view source) {
  if (value % 2 != 0) fail(ErrorCode::bad_file, "'{}': {} is {}, must be even", source, key, value);
}

void check_positive(double value, std::string_view key, std::string_view source) {
  if (!(value > 0 && value <= 1e6)) {  // false for NaN
    fail(ErrorCode::bad_file, "'{}': {} is {}, must be above 0 and at most 1e6", source, key, value);
  }
}

void check_block(const UnetBlock& block, int norm_num_groups, const std::string& name, std::string_view source) {
  check_range(block.channels, 1, kMaxWidth, name + ".channels", source);
  check_divides(norm_num_groups, block.channels, "norm_num_groups", name + ".channels", source);
  check_range(block.resnets(), 1, kMaxResnets, name + ".resnets", source);
  for (const int depth : block.depths) check_range(depth, 0, kMaxLayers, name + ".transformer_layers", source);
  if (std::accumulate(block.depths.begin(), block.depths.end(), 0) > 0) {
    check_range(block.heads, 1, kMaxWidth, name + ".attention_head_dim", source);
    check_divides(block.heads, block.channels, name + ".attention_head_dim", name + ".channels", source);
  }
}

void check_channels(const std::vector<int>& channels, std::string_view key, std::string_view source) {
  if (channels.empty() || channels.size() > kMaxBlocks) {
    fail(ErrorCode::bad_file, "'{}': {} has {} entries, must have between 1 and {}", source, key, channels.size(),
         kMaxBlocks);
  }
  for (const int width : channels) check_range(width, 1, kMaxWidth, key, source);
}
}  // namespace

void check(const ClipConfig& config, std::string_view source) {
  check_range(config.vocab_size, 1, kMaxVocabulary, "vocab_size", source);
  check_range(config.hidden_size, 1, kMaxWidth, "hidden_size", source);
  check_range(config.intermediate_size, 1, kMaxWidth, "intermediate_size", source);
  check_range(config.num_hidden_layers, 1, kMaxLayers, "num_hidden_layers", source);
  check_range(config.num_attention_heads, 1, kMaxWidth, "num_attention_heads", source);
  check_divides(config.num_attention_heads, config.hidden_size, "num_attention_heads", "hidden_size", source);
  check_range(config.max_position_embeddings, 2, kMaxWidth, "max_position_embeddings", source);
  check_positive(config.layer_norm_eps, "layer_norm_eps", source);
  check_range(config.projection_dim, 0, kMaxWidth, "projection_dim", source);
  check_range(config.eos_token_id, 0, config.vocab_size - 1, "eos_token_id", source);
}

void check(const UnetConfig& config, std::string_view source) {
  check_range(config.in_channels, 1, kMaxWidth, "in_channels", source);
  check_range(config.out_channels, 1, kMaxWidth, "out_channels", source);
  check_range(config.sample_size, 1, kMaxWidth, "sample_size", source);
  check_range(config.cross_attention_dim, 1, kMaxWidth, "cross_attention_dim", source);
  check_range(config.norm_num_groups, 1, kMaxWidth, "norm_num_groups", source);
  check_positive(config.norm_eps, "norm_eps", source);
  check_range(config.time_embedding_dim, 1, kMaxWidth, "time_embedding_dim", source);
  check_range(config.addition_time_embed_dim, 2, kMaxWidth, "addition_time_embed_dim", source);
  check_even(config.addition_time_embed_dim, "addition_time_embed_dim", source);
  check_range(config.projection_class_embeddings_input_dim, 1, kMaxWidth, "projection_class_embeddings_input_dim",
              source);
  if (config.time_cond_proj_dim != 0) {
    check_range(config.time_cond_proj_dim, 4, kMaxWidth, "time_cond_proj_dim", source);
    check_even(config.time_cond_proj_dim, "time_cond_proj_dim", source);
  }

  const size_t blocks = config.down.size();
  if (blocks < 1 || blocks > kMaxBlocks || config.up.size() != blocks) {
    fail(ErrorCode::bad_file, "'{}': {} down blocks and {} up blocks, must be as many of both, 1 to {}", source, blocks,
         config.up.size(), kMaxBlocks);
  }
  for (size_t i = 0; i < blocks; ++i) {
    const UnetBlock& down = config.down[blocks - 1 - i];
    const UnetBlock& up = config.up[i];
    check_block(down, config.norm_num_groups, fmt::format("down_blocks.{}", blocks - 1 - i), source);
    check_block(up, config.norm_num_groups, fmt::format("up_blocks.{}", i), source);
    if (up.channels != down.channels || up.resnets() != down.resnets() + 1) {
      fail(ErrorCode::bad_file, "'{}': up_blocks.{} has {} resnets of {} channels, must have {} of {}", source, i,
           up.resnets(), up.channels, down.resnets() + 1, down.channels);
    }
  }
  // The first block's width is also that of the timestep's sinusoids.
  check_even(config.down[0].channels, "block_out_channels", source);
  const int sinusoids = std::min(config.down[0].channels, config.addition_time_embed_dim) / 2;
  if (!(config.freq_shift >= 0 && config.freq_shift < sinusoids)) {  // it divides by sinusoids - freq_shift
    fail(ErrorCode::bad_file, "'{}': freq_shift is {}, must be at least 0 and below half the sinusoids", source,
         config.freq_shift);
  }
  if (config.mid.kind == UnetMidBlock::Kind::cross_attention) {
    check_range(config.mid.depth, 1, kMaxLayers, "mid_block.transformer_layers", source);
    check_range(config.mid.heads, 1, kMaxWidth, "mid_block.attention_head_dim", source);
    check_divides(config.mid.heads, config.down.back().channels, "mid_block.attention_head_dim", "mid_block.channels",
                  source);
  }
}

void check(const VaeConfig& config, std::string_view source) {
  check_range(config.in_channels, 1, kMaxWidth, "in_channels", source);
  check_range(config.out_channels, 1, kMaxWidth, "out_channels", source);
  check_range(config.latent_channels, 1, kMaxWidth, "latent_channels", source);
  check_channels(config.block_out_channels, "block_out_channels", source);
  check_range(config.layers_per_block, 1, kMaxResnets, "layers_per_block", source);
  check_range(config.norm_num_groups, 1, kMaxWidth, "norm_num_groups", source);
  for (const int width : config.block_out_channels) {
    check_divides(config.norm_num_groups, width, "norm_num_groups", "block_out_channels", source);
  }
  check_range(config.sample_size, 1, kMaxWidth, "sample_size", source);
  check_positive(config.scaling_factor, "scaling_factor", source);
  if (config.latents_mean.size() != config.latents_std.size() ||
      (!config.latents_mean.empty() && std::cmp_not_equal(config.latents_mean.size(), config.latent_channels))) {
    fail(ErrorCode::bad_file, "'{}': latents_mean has {} and latents_std {} entries, must both have {} or be absent",
         source, config.latents_mean.size(), config.latents_std.size(), config.latent_channels);
  }
  for (const double deviation : config.latents_std) check_positive(deviation, "latents_std", source);
}

void check(const TinyVaeConfig& config, std::string_view source) {
  check_range(config.in_channels, 1, kMaxWidth, "in_channels", source);
  check_range(config.out_channels, 1, kMaxWidth, "out_channels", source);
  check_range(config.latent_channels, 1, kMaxWidth, "latent_channels", source);
  check_positive(config.scaling_factor, "scaling_factor", source);
  const auto check_half = [&](const std::vector<int>& channels, const std::vector<int>& blocks,
                              const std::string& half) {
    check_channels(channels, half + "_block_out_channels", source);
    for (const int width : channels) {  // nothing between two blocks changes the width
      if (width != channels[0]) {
        fail(ErrorCode::bad_file, "'{}': {}_block_out_channels has {} beside {}, must all be equal", source, half,
             width, channels[0]);
      }
    }
    if (blocks.size() != channels.size()) {
      fail(ErrorCode::bad_file, "'{}': num_{}_blocks has {} entries, must have as many as {}_block_out_channels ({})",
           source, half, blocks.size(), half, channels.size());
    }
    for (const int count : blocks) check_range(count, 0, kMaxResnets, fmt::format("num_{}_blocks", half), source);
  };
  check_half(config.encoder_block_out_channels, config.num_encoder_blocks, "encoder");
  check_half(config.decoder_block_out_channels, config.num_decoder_blocks, "decoder");
}

void check(const ModelConfig& config, std::string_view source) {
  const int text_width =
      (config.text_encoder ? config.text_encoder->hidden_size : 0) + config.text_encoder_2.hidden_size;
  if (config.unet.cross_attention_dim != text_width) {
    fail(ErrorCode::bad_file, "'{}': the UNet reads text of width {} (cross_attention_dim), the text encoders give {}",
         source, config.unet.cross_attention_dim, text_width);
  }
  if (config.text_encoder_2.projection_dim < 1) {
    fail(ErrorCode::bad_file, "'{}': the second text encoder has no text_projection, so there is no pooled text",
         source);
  }
  const int condition =
      config.text_encoder_2.projection_dim + config.micro_conditioning_count() * config.unet.addition_time_embed_dim;
  if (config.unet.projection_class_embeddings_input_dim != condition) {
    fail(ErrorCode::bad_file,
         "'{}': the UNet's projection_class_embeddings_input_dim is {}, must be {} (pooled text {} and {} numbers of "
         "{})",
         source, config.unet.projection_class_embeddings_input_dim, condition, config.text_encoder_2.projection_dim,
         config.micro_conditioning_count(), config.unet.addition_time_embed_dim);
  }
  const int latent = config.vae.latent_channels;
  if (config.unet.in_channels != latent && config.unet.in_channels != 2 * latent + 1) {
    fail(ErrorCode::bad_file,
         "'{}': the UNet takes {} channels (in_channels), must be {} for latents, or {} with a mask and a masked "
         "picture",
         source, config.unet.in_channels, latent, 2 * latent + 1);
  }
  if (config.unet.out_channels != config.vae.latent_channels) {
    fail(ErrorCode::bad_file, "'{}': the UNet gives {} channels, the VAE takes {} (latent_channels)", source,
         config.unet.out_channels, config.vae.latent_channels);
  }
}

namespace {
// A UNet without distillation: the same depth at every layer of a level, mirrored on the way up.
UnetConfig symmetric_unet(const std::vector<int>& channels, const std::vector<int>& depths, int head_dim) {
  UnetConfig unet;
  for (size_t i = 0; i < channels.size(); ++i) {
    const int heads = depths[i] > 0 ? channels[i] / head_dim : 0;
    unet.down.push_back({channels[i], heads, std::vector<int>(2, depths[i])});
    unet.up.insert(unet.up.begin(), {channels[i], heads, std::vector<int>(3, depths[i])});
  }
  unet.time_embedding_dim = 4 * channels[0];
  return unet;
}

ClipConfig clip(int hidden_size, int layers, int heads, ClipActivation act, int projection_dim) {
  ClipConfig config;
  config.hidden_size = hidden_size;
  config.intermediate_size = 4 * hidden_size;
  config.num_hidden_layers = layers;
  config.num_attention_heads = heads;
  config.hidden_act = act;
  config.projection_dim = projection_dim;
  return config;
}

// The shapes of the reference model that diffusers computed our test data with.
ModelConfig tiny() {
  ModelConfig model;
  model.text_encoder = clip(32, 2, 4, ClipActivation::quick_gelu, 0);
  model.text_encoder_2 = clip(64, 3, 4, ClipActivation::gelu, 64);
  model.unet = symmetric_unet({32, 64, 128}, {0, 1, 2}, 16);
  model.unet.mid = {UnetMidBlock::Kind::cross_attention, 8, 2};
  model.unet.sample_size = 16;
  model.unet.cross_attention_dim = 96;
  model.unet.addition_time_embed_dim = 16;
  model.unet.projection_class_embeddings_input_dim = 64 + 6 * 16;
  model.vae.block_out_channels = {32, 32, 64, 64};
  model.vae.sample_size = 128;
  return model;
}

ModelConfig small() {
  ModelConfig model;
  model.text_encoder = clip(128, 4, 2, ClipActivation::quick_gelu, 0);
  model.text_encoder_2 = clip(256, 4, 4, ClipActivation::gelu, 256);
  model.unet = symmetric_unet({64, 128, 256}, {0, 1, 2}, 64);
  model.unet.mid = {UnetMidBlock::Kind::cross_attention, 4, 2};
  model.unet.sample_size = 64;
  model.unet.cross_attention_dim = 384;
  model.unet.addition_time_embed_dim = 256;
  model.unet.projection_class_embeddings_input_dim = 256 + 6 * 256;
  model.vae.block_out_channels = {32, 64, 128, 128};
  model.vae.sample_size = 512;
  return model;
}

struct Preset {
  std::string_view name;
  ModelConfig (*make)();
  int tiny_vae_width;
};
constexpr std::array kPresets = {
    Preset{"sdxl-base", sdxl_base, 64}, Preset{"sdxl-refiner", sdxl_refiner, 64},
    Preset{"ssd-1b", ssd_1b, 64},       Preset{"segmind-vega", segmind_vega, 64},
    Preset{"koala-1b", koala_1b, 64},   Preset{"koala-700m", koala_700m, 64},
    Preset{"small", small, 32},         Preset{"tiny", tiny, 16},
};

const Preset& find_preset(std::string_view name) {
  for (const Preset& candidate : kPresets) {
    if (candidate.name == name) return candidate;
  }
  fail(ErrorCode::invalid_argument, "there is no preset '{}': choose one of {}", name, fmt::join(preset_names(), ", "));
}
}  // namespace

// stabilityai/stable-diffusion-xl-base-1.0
ModelConfig sdxl_base() {
  ModelConfig model;
  model.text_encoder = clip(768, 12, 12, ClipActivation::quick_gelu, 0);
  model.text_encoder_2 = clip(1280, 32, 20, ClipActivation::gelu, 1280);
  model.unet = symmetric_unet({320, 640, 1280}, {0, 2, 10}, 64);
  model.unet.mid = {UnetMidBlock::Kind::cross_attention, 20, 10};
  model.vae.block_out_channels = {128, 256, 512, 512};
  return model;
}

// stabilityai/stable-diffusion-xl-refiner-1.0
ModelConfig sdxl_refiner() {
  ModelConfig model;
  model.text_encoder_2 = clip(1280, 32, 20, ClipActivation::gelu, 1280);
  model.unet = symmetric_unet({384, 768, 1536, 1536}, {0, 4, 4, 0}, 64);
  model.unet.mid = {UnetMidBlock::Kind::cross_attention, 24, 4};
  model.unet.cross_attention_dim = 1280;
  model.unet.projection_class_embeddings_input_dim = 1280 + 5 * 256;
  model.vae.block_out_channels = {128, 256, 512, 512};
  model.force_zeros_for_empty_prompt = false;
  model.requires_aesthetics_score = true;
  return model;
}

std::vector<std::string_view> preset_names() {
  std::vector<std::string_view> names;
  names.reserve(std::size(kPresets));
  for (const Preset& preset : kPresets) names.push_back(preset.name);
  return names;
}

ModelConfig preset(std::string_view name) {
  return find_preset(name).make();
}

TinyVaeConfig tiny_vae_preset(std::string_view name) {
  TinyVaeConfig config;
  config.encoder_block_out_channels = config.decoder_block_out_channels =
      std::vector<int>(4, find_preset(name).tiny_vae_width);
  return config;
}

}  // namespace tempera
