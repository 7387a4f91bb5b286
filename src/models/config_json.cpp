#include "models/config_json.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/json.h"

namespace tempera {
namespace {
using nlohmann::json;

constexpr IntRange kCount{0, 1 << 24};  // fits into an int; check() has the real limits
constexpr size_t kMaxConfigBytes = 1 << 20;

// A config.json being read: the object and its name, which every message needs.
class Reader {
 public:
  Reader(std::string_view text, std::string_view what)
      : object_(parse_json(
            text, what, {.max_bytes = kMaxConfigBytes, .max_values = 10'000, .max_elements = 1024, .max_depth = 16})),
        what_(what) {
    if (!object_.is_object()) fail(ErrorCode::bad_file, "'{}' is no configuration: it holds no JSON object", what_);
  }

  int get(const char* key) const { return static_cast<int>(get_int(object_, key, kCount, what_)); }
  int get(const char* key, int otherwise) const {
    return static_cast<int>(find_int(object_, key, kCount, what_).value_or(otherwise));
  }
  bool flag(const char* key, bool otherwise) const { return find_bool(object_, key, what_).value_or(otherwise); }
  double number(const char* key, double otherwise) const {
    return find_number(object_, key, what_).value_or(otherwise);
  }
  std::string text(const char* key, const char* otherwise) const {
    return find_string(object_, key, what_).value_or(otherwise);
  }

  std::vector<int> ints(const char* key) const {
    const std::vector<int64_t> values = get_ints(object_, key, kCount, what_);
    return {values.begin(), values.end()};
  }
  std::vector<int> ints(const char* key, std::vector<int> otherwise) const {
    return value(key) == nullptr ? std::move(otherwise) : ints(key);
  }
  // A number for all of `count` blocks, or a list of one for each.
  std::vector<int> per_block(const char* key, int otherwise, size_t count) const {
    const json* given = value(key);
    if (given == nullptr || !given->is_array()) return std::vector<int>(count, get(key, otherwise));
    std::vector<int> values = ints(key);
    if (values.size() != count) refuse_count(key, values.size(), count);
    return values;
  }
  std::vector<double> numbers(const char* key) const {
    std::vector<double> numbers;
    const json* given = value(key);
    if (given == nullptr) return numbers;
    for (const json& element : *given) {
      if (!given->is_array() || !element.is_number()) refuse(key, "must be a list of numbers");
      numbers.push_back(element.get<double>());
    }
    return numbers;
  }
  std::vector<std::string> texts(const char* key) const {
    const json* given = value(key);
    if (given == nullptr || !given->is_array()) refuse(key, "must be a list of names");
    std::vector<std::string> texts;
    for (const json& element : *given) {
      if (!element.is_string()) refuse(key, "must be a list of names");
      texts.push_back(element.get<std::string>());
    }
    return texts;
  }
  // The value, or nullptr when absent or null.
  const json* value(const char* key) const {
    const auto at = object_.find(key);
    return at == object_.end() || at->is_null() ? nullptr : &*at;
  }
  bool is_null(const char* key) const { return object_.contains(key) && object_[key].is_null(); }

  [[noreturn]] void refuse(const char* key, std::string_view reason) const {
    const auto at = object_.find(key);
    const std::string shown =
        at == object_.end() ? "missing" : at->dump(-1, ' ', true, json::error_handler_t::replace).substr(0, 100);
    fail(ErrorCode::bad_file, "'{}': {} is {}, {}", what_, key, shown, reason);
  }
  [[noreturn]] void refuse_count(const char* key, size_t count, size_t expected) const {
    fail(ErrorCode::bad_file, "'{}': {} has {} entries for {} blocks", what_, key, count, expected);
  }

  // That a key is absent, null or equal to the only supported value.
  void only(const char* key, const json& supported) const {
    const json* given = value(key);
    if (given == nullptr || *given == supported) return;
    refuse(key, supported.is_null() ? std::string("which is not supported: only null is")
                                    : fmt::format("which is not supported: only {} is", supported.dump()));
  }
  // For keys whose default is not the supported value.
  void required(const char* key, const json& supported) const {
    if (value(key) == nullptr) refuse(key, fmt::format("which is not supported: only {} is", supported.dump()));
    only(key, supported);
  }

 private:
  json object_;
  std::string_view what_;
};

// transformer_layers_per_block and its reverse: per block a number for all of its transformers or a list of one for
// each.
std::vector<int> layer_depths(const Reader& config, const char* key, const json& given, int resnets) {
  const auto depth = [&](const json& number) {
    if (!number.is_number_unsigned() || number.get<uint64_t>() > uint64_t{kCount.max}) {
      config.refuse(key, "must hold whole numbers");
    }
    return static_cast<int>(number.get<uint64_t>());
  };
  if (!given.is_array()) return std::vector<int>(static_cast<size_t>(resnets), depth(given));
  if (std::cmp_less(given.size(), resnets)) {
    config.refuse(key, fmt::format("must have a number for each of the block's {} transformers", resnets));
  }
  std::vector<int> depths;  // as in diffusers, the rest is ignored: the mid block uses the first of a list
  depths.reserve(static_cast<size_t>(resnets));
  for (int i = 0; i < resnets; ++i) depths.push_back(depth(given[static_cast<size_t>(i)]));
  return depths;
}

// Which blocks have transformers, from the names of their diffusers classes.
std::vector<bool> have_transformers(const Reader& config, const char* key, std::string_view with,
                                    std::string_view without) {
  std::vector<bool> result;
  for (const std::string& type : config.texts(key)) {
    if (type != with && type != without) {
      config.refuse(key, fmt::format("which is not supported: only {} and {} are", with, without));
    }
    result.push_back(type == with);
  }
  return result;
}

UnetBlock make_block(const Reader& config, const char* depth_key, bool has_transformers, int channels, int heads,
                     int resnets, const json& depths) {
  if (resnets > 1000) config.refuse("layers_per_block", "which is too many");
  if (!has_transformers) return {channels, 0, std::vector<int>(static_cast<size_t>(resnets), 0)};
  UnetBlock block{channels, heads, layer_depths(config, depth_key, depths, resnets)};
  for (const int depth : block.depths) {
    if (depth == 0) config.refuse(depth_key, "but a block with cross attention needs at least 1 layer");
  }
  return block;
}

constexpr const char* kDepths = "transformer_layers_per_block";
constexpr const char* kReverseDepths = "reverse_transformer_layers_per_block";

// `depth` and `heads` are those of the innermost level, which the mid block shares.
void parse_unet_mid_block(const Reader& config, const json& depth, int heads, UnetMidBlock& mid) {
  // null means that there is none; only an absent key means the default.
  if (config.is_null("mid_block_type")) {
    mid = {UnetMidBlock::Kind::none, 0, 0};
    return;
  }
  const std::string type = config.text("mid_block_type", "UNetMidBlock2DCrossAttn");
  if (type == "UNetMidBlock2D") {
    mid = {UnetMidBlock::Kind::resnet, 0, 0};
  } else if (type == "UNetMidBlock2DCrossAttn") {
    mid = {UnetMidBlock::Kind::cross_attention, heads, layer_depths(config, kDepths, depth, 1)[0]};
  } else {
    config.refuse("mid_block_type",
                  "which is not supported: only UNetMidBlock2DCrossAttn, UNetMidBlock2D and null are");
  }
}

// UNet2DConditionModel.__init__: how the lists per block are spread over the way down and, reversed, over the way up.
void parse_unet_blocks(const Reader& config, UnetConfig& unet) {
  const std::vector<int> channels = config.ints("block_out_channels");
  const size_t count = channels.size();
  const auto down = have_transformers(config, "down_block_types", "CrossAttnDownBlock2D", "DownBlock2D");
  const auto up = have_transformers(config, "up_block_types", "CrossAttnUpBlock2D", "UpBlock2D");
  if (down.size() != count) config.refuse_count("down_block_types", down.size(), count);
  if (up.size() != count) config.refuse_count("up_block_types", up.size(), count);
  if (count == 0) config.refuse("block_out_channels", "which is no model");
  const std::vector<int> resnets = config.per_block("layers_per_block", 2, count);
  // The number of heads, despite the name: diffusers issue 2011.
  const std::vector<int> heads = config.per_block("attention_head_dim", 8, count);

  const auto per_block = [&](const char* key) {
    const json* given = config.value(key);
    if (given == nullptr) return json(std::vector<int>(count, 1));
    if (!given->is_array()) return json(std::vector<json>(count, *given));
    if (given->size() != count) config.refuse_count(key, given->size(), count);
    return *given;
  };
  const json depths = per_block(kDepths);
  const bool has_reverse = config.value(kReverseDepths) != nullptr;
  const json reverse_depths = per_block(has_reverse ? kReverseDepths : kDepths);

  for (size_t i = 0; i < count; ++i) {
    const size_t mirror = count - 1 - i;
    unet.down.push_back(make_block(config, kDepths, down[i], channels[i], heads[i], resnets[i], depths[i]));
    const json& up_depths = reverse_depths[has_reverse ? i : mirror];
    if (up[i] && !has_reverse && up_depths.is_array()) {
      config.refuse(kDepths, "which needs reverse_transformer_layers_per_block for the way up");
    }
    unet.up.push_back(make_block(config, has_reverse ? kReverseDepths : kDepths, up[i], channels[mirror], heads[mirror],
                                 resnets[mirror] + 1, up_depths));
  }

  parse_unet_mid_block(config, depths.back(), heads.back(), unet.mid);
}

// What UNet2DConditionModel can do and the graphs cannot.
void refuse_unet_variants(const Reader& config) {
  config.required("addition_embed_type", "text_time");
  config.only("act_fn", "silu");
  config.only("attention_type", "default");
  config.only("center_input_sample", false);
  config.only("class_embed_type", nullptr);
  config.only("class_embeddings_concat", false);
  config.only("conv_in_kernel", 3);
  config.only("conv_out_kernel", 3);
  config.only("cross_attention_norm", nullptr);
  config.only("downsample_padding", 1);
  config.only("dual_cross_attention", false);
  config.only("encoder_hid_dim", nullptr);
  config.only("encoder_hid_dim_type", nullptr);
  config.only("mid_block_only_cross_attention", false);
  config.only("mid_block_scale_factor", 1);
  config.only("num_attention_heads", nullptr);  // diffusers refuses it as well
  config.only("num_class_embeds", nullptr);
  config.only("only_cross_attention", false);
  config.only("resnet_out_scale_factor", 1);
  config.only("resnet_skip_time_act", false);
  config.only("resnet_time_scale_shift", "default");
  config.only("time_embedding_act_fn", nullptr);
  config.only("time_embedding_type", "positional");
  config.only("timestep_post_act", nullptr);
}
}  // namespace

ClipConfig parse_clip_config(std::string_view text, std::string_view what, bool with_projection) {
  const Reader config(text, what);
  if (const std::string type = config.text("model_type", "clip_text_model"); type != "clip_text_model") {
    config.refuse("model_type", "which is no CLIP text encoder (clip_text_model)");
  }
  ClipConfig clip;
  clip.vocab_size = config.get("vocab_size", clip.vocab_size);
  clip.hidden_size = config.get("hidden_size");
  clip.intermediate_size = config.get("intermediate_size");
  clip.num_hidden_layers = config.get("num_hidden_layers");
  clip.num_attention_heads = config.get("num_attention_heads");
  clip.max_position_embeddings = config.get("max_position_embeddings", clip.max_position_embeddings);
  clip.layer_norm_eps = config.number("layer_norm_eps", clip.layer_norm_eps);
  clip.eos_token_id = config.get("eos_token_id", clip.eos_token_id);
  if (with_projection) clip.projection_dim = config.get("projection_dim");

  const std::string act = config.text("hidden_act", "quick_gelu");
  if (act != "gelu" && act != "quick_gelu") {
    config.refuse("hidden_act", "which is not supported: only gelu and quick_gelu are");
  }
  clip.hidden_act = act == "gelu" ? ClipActivation::gelu : ClipActivation::quick_gelu;
  check(clip, what);
  return clip;
}

UnetConfig parse_unet_config(std::string_view text, std::string_view what) {
  const Reader config(text, what);
  refuse_unet_variants(config);
  UnetConfig unet;
  parse_unet_blocks(config, unet);
  unet.in_channels = config.get("in_channels", 4);
  unet.out_channels = config.get("out_channels", 4);
  unet.sample_size = config.get("sample_size", unet.sample_size);
  const std::vector<int> text_widths = config.per_block("cross_attention_dim", 1280, unet.down.size());
  for (const int width : text_widths) {
    if (width != text_widths[0]) config.refuse("cross_attention_dim", "which is not supported: only one width is");
  }
  unet.cross_attention_dim = text_widths[0];
  unet.norm_num_groups = config.get("norm_num_groups", 32);
  unet.norm_eps = config.number("norm_eps", 1e-5);
  unet.use_linear_projection = config.flag("use_linear_projection", false);
  unet.time_embedding_dim = config.get("time_embedding_dim", 4 * unet.down[0].channels);
  unet.flip_sin_to_cos = config.flag("flip_sin_to_cos", true);
  unet.freq_shift = config.number("freq_shift", 0);
  unet.addition_time_embed_dim = config.get("addition_time_embed_dim");
  unet.projection_class_embeddings_input_dim = config.get("projection_class_embeddings_input_dim");
  unet.time_cond_proj_dim = config.get("time_cond_proj_dim", 0);
  check(unet, what);
  return unet;
}

VaeConfig parse_vae_config(std::string_view text, std::string_view what) {
  const Reader config(text, what);
  config.only("_class_name", "AutoencoderKL");
  config.only("act_fn", "silu");
  config.only("shift_factor",
              0);  // diffusers' SDXL pipelines do not read it, so it would change other programs' results
  VaeConfig vae;
  vae.block_out_channels = config.ints("block_out_channels");
  for (const char* key : {"down_block_types", "up_block_types"}) {
    const std::string_view supported = key[0] == 'd' ? "DownEncoderBlock2D" : "UpDecoderBlock2D";
    const std::vector<std::string> types = config.texts(key);
    if (types.size() != vae.block_out_channels.size()) {
      config.refuse_count(key, types.size(), vae.block_out_channels.size());
    }
    for (const std::string& type : types) {
      if (type != supported) config.refuse(key, fmt::format("which is not supported: only {} is", supported));
    }
  }
  vae.in_channels = config.get("in_channels", 3);
  vae.out_channels = config.get("out_channels", 3);
  vae.latent_channels = config.get("latent_channels", 4);
  vae.layers_per_block = config.get("layers_per_block", 1);
  vae.norm_num_groups = config.get("norm_num_groups", 32);
  vae.sample_size = config.get("sample_size", 32);
  vae.scaling_factor = config.number("scaling_factor", 0.18215);
  vae.latents_mean = config.numbers("latents_mean");
  vae.latents_std = config.numbers("latents_std");
  vae.force_upcast = config.flag("force_upcast", true);
  vae.use_quant_conv = config.flag("use_quant_conv", true);
  vae.use_post_quant_conv = config.flag("use_post_quant_conv", true);
  vae.mid_block_add_attention = config.flag("mid_block_add_attention", true);
  check(vae, what);
  return vae;
}

TinyVaeConfig parse_tiny_vae_config(std::string_view text, std::string_view what) {
  const Reader config(text, what);
  config.required("_class_name", "AutoencoderTiny");
  config.only("act_fn", "relu");
  config.only("upsample_fn", "nearest");
  config.only("upsampling_scaling_factor", 2);
  config.only("shift_factor", 0);
  TinyVaeConfig vae;
  const std::vector<int> widths = {64, 64, 64, 64};
  vae.in_channels = config.get("in_channels", 3);
  vae.out_channels = config.get("out_channels", 3);
  vae.latent_channels = config.get("latent_channels", 4);
  vae.encoder_block_out_channels = config.ints("encoder_block_out_channels", widths);
  vae.decoder_block_out_channels = config.ints("decoder_block_out_channels", widths);
  vae.num_encoder_blocks = config.ints("num_encoder_blocks", {1, 3, 3, 3});
  vae.num_decoder_blocks = config.ints("num_decoder_blocks", {3, 3, 3, 1});
  vae.scaling_factor = config.number("scaling_factor", 1);
  check(vae, what);
  return vae;
}

}  // namespace tempera
