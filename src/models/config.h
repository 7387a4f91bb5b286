// The differences between model variants, as plain data. They are read from a config.json, inferred from a single-file
// checkpoint, or defined here as a preset. A graph builder needs nothing else, and check() has checked the range of
// every value before.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

namespace tempera {

// "gelu" is the exact one (with erf), "quick_gelu" is x * sigmoid(1.702 x).
enum class ClipActivation : uint8_t { quick_gelu, gelu };

// A CLIP text encoder (transformers CLIPTextModel, CLIPTextModelWithProjection).
struct ClipConfig {
  int vocab_size = 49408;
  int hidden_size = 0;
  int intermediate_size = 0;
  int num_hidden_layers = 0;
  int num_attention_heads = 0;
  int max_position_embeddings = 77;
  ClipActivation hidden_act = ClipActivation::gelu;
  double layer_norm_eps = 1e-5;
  int projection_dim = 0;  // rows of text_projection; 0: no projection and no pooled output
  // The pooled vector is at the first position with this id. Old configs have 2, which is not CLIP's id. transformers
  // then uses the position of the largest id, which is the end token as well.
  int eos_token_id = 49407;

  int head_dim() const { return hidden_size / num_attention_heads; }
  bool operator==(const ClipConfig&) const = default;
};

// One resolution of the UNet, on the way down or up.
struct UnetBlock {
  int channels = 0;
  int heads = 0;  // of every transformer in this block; diffusers calls this attention_head_dim. 0: no transformers
  // Transformer layers after each resnet; 0: none. The block has as many entries as resnets.
  std::vector<int> depths;

  int resnets() const { return static_cast<int>(depths.size()); }
  bool operator==(const UnetBlock&) const = default;
};

// The innermost block: resnet, transformer, resnet; or, in some distilled models, one resnet or nothing. It has the
// width of the last down block.
struct UnetMidBlock {
  enum class Kind : uint8_t { none, resnet, cross_attention };
  Kind kind = Kind::cross_attention;
  int heads = 0;
  int depth = 0;  // transformer layers

  bool operator==(const UnetMidBlock&) const = default;
};

// diffusers UNet2DConditionModel with addition_embed_type "text_time".
struct UnetConfig {
  int in_channels = 4;
  int out_channels = 4;
  int sample_size = 128;  // default height and width of the latent
  // Outermost first. Every block but the last ends in a 2x downsampler.
  std::vector<UnetBlock> down;
  UnetMidBlock mid;
  // Innermost first, as diffusers' up_blocks: up[i] has the width of down[n-1-i] and one resnet more. Every block but
  // the last ends in a 2x upsampler.
  std::vector<UnetBlock> up;
  int cross_attention_dim = 2048;
  int norm_num_groups = 32;
  double norm_eps =
      1e-5;  // of the resnets and the output; the norms of transformers have 1e-6 (group) and 1e-5 (layer)
  // The form of proj_in and proj_out in files: (C, C) or (C, C, 1, 1). Checkpoints return (C, C) for both.
  bool use_linear_projection = true;
  int time_embedding_dim = 1280;      // width of the time embedding, four times down[0].channels by default
  bool flip_sin_to_cos = true;        // sinusoids as (cos, sin)
  double freq_shift = 0;              // frequencies are 10000^(-i / (half - freq_shift))
  int addition_time_embed_dim = 256;  // sinusoid width of each micro-conditioning number
  int projection_class_embeddings_input_dim = 2816;  // pooled text and the sinusoids, concatenated
  // Width of the embedding of the guidance scale (distilled models: Meng et al. 2023, LCM). The network then has one
  // branch. 0: guidance needs two branches.
  int time_cond_proj_dim = 0;

  // Whether the network was trained for inpainting: it reads latents, a mask, and the latents of the masked picture.
  bool reads_mask() const { return in_channels == 2 * out_channels + 1; }
  bool operator==(const UnetConfig&) const = default;
};

// diffusers AutoencoderKL. Its group norms have epsilon 1e-6.
struct VaeConfig {
  int in_channels = 3;
  int out_channels = 3;
  int latent_channels = 4;
  std::vector<int> block_out_channels;  // outermost first; every block but the last halves the size
  int layers_per_block = 2;             // resnets per encoder block; decoder blocks have one more
  int norm_num_groups = 32;
  int sample_size = 1024;
  // Latents for the UNet are (z - mean) / std * scaling_factor; without mean and std, z * scaling_factor.
  double scaling_factor = 0.13025;
  std::vector<double> latents_mean, latents_std;  // latent_channels each, or empty
  // If set, diffusers decodes in float32, because the decoder's residual stream exceeds the range of f16. It has no
  // effect here: under f16 the graph keeps that stream at a 256th of its size.
  bool force_upcast = true;
  bool use_quant_conv = true;
  bool use_post_quant_conv = true;
  bool mid_block_add_attention = true;

  // Pixels per latent pixel in each direction.
  int scale() const { return 1 << (block_out_channels.size() - 1); }
  bool operator==(const VaeConfig&) const = default;
};

// diffusers AutoencoderTiny (TAESD).
struct TinyVaeConfig {
  int in_channels = 3;
  int out_channels = 3;
  int latent_channels = 4;
  // By default TAESDXL, as published. Outermost first for the encoder, innermost first for the decoder.
  std::vector<int> encoder_block_out_channels = {64, 64, 64, 64}, decoder_block_out_channels = {64, 64, 64, 64};
  std::vector<int> num_encoder_blocks = {1, 3, 3, 3}, num_decoder_blocks = {3, 3, 3, 1};
  double scaling_factor = 1;

  // Pixels per latent pixel in each direction: of the decoder, and of the encoder.
  int scale() const { return 1 << (decoder_block_out_channels.size() - 1); }
  int encoder_scale() const { return 1 << (encoder_block_out_channels.size() - 1); }
  bool operator==(const TinyVaeConfig&) const = default;
};

struct ModelConfig {
  std::optional<ClipConfig> text_encoder;  // absent in the refiner
  ClipConfig text_encoder_2;
  UnetConfig unet;
  VaeConfig vae;
  bool force_zeros_for_empty_prompt = true;
  bool requires_aesthetics_score = false;  // the refiner: five micro-conditioning numbers instead of six

  int micro_conditioning_count() const { return requires_aesthetics_score ? 5 : 6; }
  bool operator==(const ModelConfig&) const = default;
};

// Throw Error(bad_file, "'<source>': ...") with one sentence that names the key and its value. Sizes must be positive
// and bounded, heads must divide channels, groups must divide channels, and up and down blocks must fit each other.
void check(const ClipConfig& config, std::string_view source);
void check(const UnetConfig& config, std::string_view source);
void check(const VaeConfig& config, std::string_view source);
void check(const TinyVaeConfig& config, std::string_view source);
// Checks that the parts fit together: widths of text, UNet and latents. Does not include the checks above.
void check(const ModelConfig& config, std::string_view source);

// "sdxl-base", "sdxl-refiner" as published by Stability AI; "ssd-1b", "segmind-vega", "koala-1b" and "koala-700m",
// which were distilled from SDXL, as published; "tiny" (a few million parameters, for tests) and "small" (three levels
// of 64, 128, 256 channels and 64-wide heads, so that a single file is enough to infer it). Throws
// Error(invalid_argument) with a list of the names.
ModelConfig preset(std::string_view name);
std::vector<std::string_view> preset_names();

// The tiny autoencoder for a preset: TAESDXL, or one as small as the preset.
TinyVaeConfig tiny_vae_preset(std::string_view name);

ModelConfig sdxl_base();
ModelConfig sdxl_refiner();
ModelConfig ssd_1b();
ModelConfig segmind_vega();
ModelConfig koala_1b();
ModelConfig koala_700m();

}  // namespace tempera
