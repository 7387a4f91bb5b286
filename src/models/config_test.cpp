// Configurations: presets are equal to the published ones, JSON is read as in diffusers, and values that the graphs
// cannot compute are refused with their key.
#include "models/config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <functional>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/json.h"
#include "models/components.h"
#include "models/config_json.h"
#include "models/config_writer.h"

namespace tempera {
namespace {
using nlohmann::json;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;

std::string bad_file_message(const std::function<void()>& call) {
  try {
    call();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::bad_file) << error.what();
    return error.what();
  }
  return "";
}

// The UNet of stabilityai/stable-diffusion-xl-base-1.0.
json sdxl_unet() {
  return json::parse(R"({
    "_class_name": "UNet2DConditionModel", "act_fn": "silu", "addition_embed_type": "text_time",
    "addition_time_embed_dim": 256, "attention_head_dim": [5, 10, 20], "block_out_channels": [320, 640, 1280],
    "center_input_sample": false, "class_embed_type": null, "conv_in_kernel": 3, "cross_attention_dim": 2048,
    "down_block_types": ["DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"], "downsample_padding": 1,
    "dual_cross_attention": false, "flip_sin_to_cos": true, "freq_shift": 0, "in_channels": 4, "layers_per_block": 2,
    "mid_block_scale_factor": 1, "mid_block_type": "UNetMidBlock2DCrossAttn", "norm_eps": 1e-05, "norm_num_groups": 32,
    "num_attention_heads": null, "only_cross_attention": false, "out_channels": 4,
    "projection_class_embeddings_input_dim": 2816, "resnet_out_scale_factor": 1.0, "resnet_time_scale_shift": "default",
    "sample_size": 128, "transformer_layers_per_block": [1, 2, 10],
    "up_block_types": ["CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"], "upcast_attention": null,
    "use_linear_projection": true})");
}

UnetConfig parse_unet(const json& object) {
  return parse_unet_config(object.dump(), "unet/config.json");
}

// The message for sdxl_unet() with some keys changed.
std::string unet_problem(const json& changes) {
  json object = sdxl_unet();
  object.update(changes);
  return bad_file_message([&] { parse_unet(object); });
}

TEST(Config, PresetsAreConsistent) {
  EXPECT_THAT(preset_names(), ElementsAre("sdxl-base", "sdxl-refiner", "ssd-1b", "segmind-vega", "koala-1b",
                                          "koala-700m", "small", "tiny"));
  for (const std::string_view name : preset_names()) {
    const ModelConfig model = preset(name);
    for (const auto& [component, config] : component_configs(model)) check_config(config, name);
    check(model, name);
  }
  EXPECT_THROW(preset("sdxl"), Error);
}

// LCM's UNet of SDXL embeds the guidance scale.
TEST(Config, EmbeddedGuidance) {
  json object = sdxl_unet();
  object["time_cond_proj_dim"] = 256;
  UnetConfig expected = sdxl_base().unet;
  expected.time_cond_proj_dim = 256;
  EXPECT_EQ(parse_unet(object), expected);
  EXPECT_EQ(parse_unet(json::parse(to_json(expected))), expected);
  object["time_cond_proj_dim"] = nullptr;
  EXPECT_EQ(parse_unet(object), sdxl_base().unet);
  EXPECT_THAT(unet_problem({{"time_cond_proj_dim", 25}}), HasSubstr("time_cond_proj_dim is 25, must be even"));
  EXPECT_THAT(unet_problem({{"time_cond_proj_dim", 2}}), HasSubstr("must be between 4 and"));
}

// Every field that is written is read back; components_test.cpp does it with the presets.
TEST(Config, WrittenAndReadAgain) {
  UnetConfig unet = preset("tiny").unet;
  unet.mid = {UnetMidBlock::Kind::resnet, 0, 0};
  unet.time_embedding_dim = 96;
  EXPECT_EQ(parse_unet_config(to_json(unet), "unet"), unet);
  VaeConfig vae = preset("tiny").vae;
  vae.latents_mean = {0.5, -1, 2, 0};
  vae.latents_std = {1, 2, 3, 4};
  vae.use_quant_conv = vae.use_post_quant_conv = vae.mid_block_add_attention = false;
  EXPECT_EQ(parse_vae_config(to_json(vae), "vae"), vae);
}

TEST(Config, SdxlBaseAsPublished) {
  EXPECT_EQ(parse_unet(sdxl_unet()), sdxl_base().unet);
  const auto published_clip = R"({"architectures": ["CLIPTextModel"], "bos_token_id": 0, "eos_token_id": 2,
    "hidden_act": "quick_gelu", "hidden_size": 768, "intermediate_size": 3072, "layer_norm_eps": 1e-05,
    "max_position_embeddings": 77, "model_type": "clip_text_model", "num_attention_heads": 12, "num_hidden_layers": 12,
    "projection_dim": 768, "vocab_size": 49408})";
  ClipConfig clip = *sdxl_base().text_encoder;
  clip.eos_token_id = 2;
  EXPECT_EQ(parse_clip_config(published_clip, "x", false), clip);
  clip.projection_dim = 768;
  EXPECT_EQ(parse_clip_config(published_clip, "x", true), clip);
  EXPECT_EQ(parse_vae_config(R"({"_class_name": "AutoencoderKL", "act_fn": "silu",
    "block_out_channels": [128, 256, 512, 512], "down_block_types": ["DownEncoderBlock2D", "DownEncoderBlock2D",
    "DownEncoderBlock2D", "DownEncoderBlock2D"], "force_upcast": true, "in_channels": 3, "latent_channels": 4,
    "layers_per_block": 2, "norm_num_groups": 32, "out_channels": 3, "sample_size": 1024, "scaling_factor": 0.13025,
    "up_block_types": ["UpDecoderBlock2D", "UpDecoderBlock2D", "UpDecoderBlock2D", "UpDecoderBlock2D"]})",
                             "x"),
            sdxl_base().vae);
}

TEST(Config, RefinerAsPublished) {
  json refiner = sdxl_unet();
  refiner.update(json::parse(R"({"attention_head_dim": [6, 12, 24, 24], "block_out_channels": [384, 768, 1536, 1536],
    "cross_attention_dim": 1280, "projection_class_embeddings_input_dim": 2560, "transformer_layers_per_block": 4,
    "down_block_types": ["DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "DownBlock2D"],
    "up_block_types": ["UpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"]})"));
  EXPECT_EQ(parse_unet(refiner), sdxl_refiner().unet);
}

// segmind/SSD-1B: other depths on the way up, a mid block of one resnet.
TEST(Config, AsymmetricUnetAsInSsd1b) {
  json object = sdxl_unet();
  object.update(json::parse(R"({"mid_block_type": "UNetMidBlock2D", "transformer_layers_per_block": [1, [2, 2], [4, 4]],
    "reverse_transformer_layers_per_block": [[4, 4, 10], [2, 1, 1], 1]})"));
  const UnetConfig unet = parse_unet(object);
  EXPECT_EQ(unet.mid.kind, UnetMidBlock::Kind::resnet);
  EXPECT_THAT(unet.down[0].depths, ElementsAre(0, 0));
  EXPECT_THAT(unet.down[1].depths, ElementsAre(2, 2));
  EXPECT_THAT(unet.down[2].depths, ElementsAre(4, 4));
  EXPECT_THAT(unet.up[0].depths, ElementsAre(4, 4, 10));
  EXPECT_THAT(unet.up[1].depths, ElementsAre(2, 1, 1));
  EXPECT_THAT(unet.up[2].depths, ElementsAre(0, 0, 0));
  EXPECT_EQ(unet.up[0].heads, 20);
  EXPECT_EQ(unet.up[2].heads, 0);
  // As in diffusers: a mid block with cross attention uses the first of the innermost list.
  object["mid_block_type"] = "UNetMidBlock2DCrossAttn";
  EXPECT_EQ(parse_unet(object).mid, (UnetMidBlock{UnetMidBlock::Kind::cross_attention, 20, 4}));
  object.erase("reverse_transformer_layers_per_block");
  EXPECT_THAT(bad_file_message([&] { parse_unet(object); }),
              HasSubstr("transformer_layers_per_block is [1,[2,2],[4,4]], which needs reverse_transformer"));
}

// etri-vilab/koala-700m: one resnet per block, no mid block; and a different number of layers at each level.
TEST(Config, OneLayerPerBlockAndNoMidBlock) {
  json object = sdxl_unet();
  object.update(
      json::parse(R"({"layers_per_block": 1, "mid_block_type": null, "transformer_layers_per_block": [0, 2, 5]})"));
  UnetConfig unet = parse_unet(object);
  EXPECT_EQ(unet.mid.kind, UnetMidBlock::Kind::none);
  EXPECT_THAT(unet.down[2].depths, ElementsAre(5));
  EXPECT_THAT(unet.up[0].depths, ElementsAre(5, 5));
  object["layers_per_block"] = {1, 2, 3};
  unet = parse_unet(object);
  EXPECT_THAT(unet.down[2].depths, ElementsAre(5, 5, 5));
  EXPECT_THAT(unet.up[0].depths, ElementsAre(5, 5, 5, 5));
  EXPECT_THAT(unet.up[2].depths, ElementsAre(0, 0));
}

TEST(Config, NumbersForAllBlocksAtOnce) {
  json object = sdxl_unet();
  object.update(json::parse(R"({"attention_head_dim": 10, "transformer_layers_per_block": 3,
                                "cross_attention_dim": [2048, 2048, 2048]})"));
  const UnetConfig unet = parse_unet(object);
  EXPECT_EQ(unet.down[1], (UnetBlock{640, 10, {3, 3}}));
  EXPECT_EQ(unet.mid, (UnetMidBlock{UnetMidBlock::Kind::cross_attention, 10, 3}));
  EXPECT_EQ(unet.cross_attention_dim, 2048);
}

TEST(Config, RefusesWhatTheGraphsDoNotCompute) {
  const json unsupported = json::parse(R"({
         "act_fn": "mish", "addition_embed_type": "text", "attention_type": "gated", "center_input_sample": true,
         "class_embed_type": "timestep", "class_embeddings_concat": true, "conv_in_kernel": 5, "conv_out_kernel": 1,
         "cross_attention_norm": "layer_norm", "downsample_padding": 0, "dual_cross_attention": true,
         "encoder_hid_dim": 768, "encoder_hid_dim_type": "text_proj", "mid_block_only_cross_attention": true,
         "mid_block_scale_factor": 1.5, "mid_block_type": "UNetMidBlock2DSimpleCrossAttn", "num_attention_heads": 8,
         "num_class_embeds": 10, "only_cross_attention": [true, false, false], "resnet_out_scale_factor": 0.5,
         "resnet_skip_time_act": true, "resnet_time_scale_shift": "scale_shift",
         "time_embedding_act_fn": "silu", "time_embedding_type": "fourier", "timestep_post_act": "silu",
         "cross_attention_dim": [2048, 2048, 1024]})");
  for (const auto& [key, value] : unsupported.items()) {
    EXPECT_THAT(unet_problem({{key, value}}), AllOf(HasSubstr("'unet/config.json': " + key + " is " + value.dump()),
                                                    HasSubstr("which is not supported")))
        << key;
  }
  EXPECT_THAT(unet_problem({{"addition_embed_type", nullptr}}), HasSubstr("addition_embed_type is null, which is not"));
  EXPECT_THAT(unet_problem({{"down_block_types", {"DownBlock2D", "AttnDownBlock2D", "DownBlock2D"}}}),
              HasSubstr("only CrossAttnDownBlock2D and DownBlock2D are"));
}

TEST(Config, RefusesImpossibleNumbers) {
  EXPECT_THAT(unet_problem({{"block_out_channels", {320, 640}}}),
              HasSubstr("down_block_types has 3 entries for 2 blocks"));
  EXPECT_THAT(unet_problem({{"block_out_channels", json::array()}}), HasSubstr("down_block_types has 3 entries for 0"));
  EXPECT_THAT(unet_problem({{"block_out_channels", {320, 640, -1280}}}), HasSubstr("\"block_out_channels\" is -1280"));
  EXPECT_THAT(unet_problem({{"block_out_channels", {320, 640, 1 << 20}}}), HasSubstr("channels is 1048576, must be"));
  EXPECT_THAT(unet_problem({{"block_out_channels", {320, 640, 1296}}}),
              HasSubstr("norm_num_groups (32) does not divide"));
  EXPECT_THAT(unet_problem({{"attention_head_dim", {5, 10, 7}}}),
              HasSubstr("attention_head_dim (7) does not divide down_blocks.2.channels (1280)"));
  EXPECT_THAT(unet_problem({{"attention_head_dim", {5, 10, 0}}}), HasSubstr("attention_head_dim is 0, must be"));
  EXPECT_THAT(unet_problem({{"attention_head_dim", {5, 10}}}), HasSubstr("has 2 entries for 3 blocks"));
  EXPECT_THAT(unet_problem({{"layers_per_block", 0}}), HasSubstr("resnets is 0"));
  EXPECT_THAT(unet_problem({{"layers_per_block", 17}}), HasSubstr("resnets is 17"));
  EXPECT_THAT(unet_problem({{"layers_per_block", 1 << 23}}), HasSubstr("which is too many"));
  EXPECT_THAT(unet_problem({{"transformer_layers_per_block", {1, 2, 0}}}), HasSubstr("needs at least 1 layer"));
  EXPECT_THAT(unet_problem({{"transformer_layers_per_block", {1, 2, 1000}}}), HasSubstr("transformer_layers is 1000"));
  EXPECT_THAT(unet_problem({{"transformer_layers_per_block", {1, 2, -3}}}), HasSubstr("must hold whole numbers"));
  EXPECT_THAT(unet_problem({{"transformer_layers_per_block", {1, 2.5, 3}}}), HasSubstr("must hold whole numbers"));
  EXPECT_THAT(unet_problem({{"reverse_transformer_layers_per_block", {10, {2}, 1}}}),
              HasSubstr("must have a number for each of the block's 3 transformers"));
  EXPECT_THAT(unet_problem({{"norm_eps", 0}}), HasSubstr("norm_eps is 0"));
  EXPECT_THAT(unet_problem({{"freq_shift", 128}}), HasSubstr("freq_shift is 128"));
  EXPECT_THAT(unet_problem({{"addition_time_embed_dim", 255}}), HasSubstr("must be even"));
  EXPECT_THAT(unet_problem({{"in_channels", "4"}}), HasSubstr("must be a whole number"));
  EXPECT_THAT(unet_problem({{"sample_size", 1e300}}), HasSubstr("must be a whole number"));
  EXPECT_THAT(bad_file_message([] { parse_unet_config("[]", "x"); }), HasSubstr("holds no JSON object"));
  EXPECT_THAT(bad_file_message([] { parse_unet_config("{\"a\": 1, \"a\": 2}", "x"); }), HasSubstr("twice"));
}

TEST(Config, ClipRefusals) {
  const auto problem = [](const json& changes) {
    json object = {
        {"hidden_size", 64}, {"intermediate_size", 256}, {"num_hidden_layers", 3}, {"num_attention_heads", 4}};
    object.update(changes);
    return bad_file_message([&] { parse_clip_config(object.dump(), "te/config.json", true); });
  };
  EXPECT_EQ(problem({{"projection_dim", 64}}), "");
  EXPECT_THAT(problem(json::object()), HasSubstr("\"projection_dim\" is missing"));
  EXPECT_THAT(problem({{"projection_dim", 64}, {"num_attention_heads", 5}}),
              HasSubstr("(5) does not divide hidden_size"));
  EXPECT_THAT(problem({{"projection_dim", 64}, {"hidden_act", "relu"}}), HasSubstr("hidden_act is \"relu\""));
  EXPECT_THAT(problem({{"projection_dim", 64}, {"model_type", "t5"}}), HasSubstr("model_type is \"t5\""));
  EXPECT_THAT(problem({{"projection_dim", 64}, {"eos_token_id", 49408}}), HasSubstr("eos_token_id is 49408"));
  EXPECT_THAT(problem({{"projection_dim", 64}, {"num_hidden_layers", 0}}), HasSubstr("num_hidden_layers is 0"));
}

TEST(Config, VaeRefusals) {
  const auto problem = [](const json& changes) {
    json object = {{"block_out_channels", {32, 64}},
                   {"down_block_types", {"DownEncoderBlock2D", "DownEncoderBlock2D"}},
                   {"up_block_types", {"UpDecoderBlock2D", "UpDecoderBlock2D"}}};
    object.update(changes);
    return bad_file_message([&] { parse_vae_config(object.dump(), "vae/config.json"); });
  };
  EXPECT_EQ(problem(json::object()), "");
  EXPECT_EQ(problem({{"latents_mean", {1, 2, 3, 4}}, {"latents_std", {1, 2, 3, 4}}}), "");
  EXPECT_THAT(problem({{"latents_mean", {1, 2, 3, 4}}}), HasSubstr("latents_mean has 4 and latents_std 0 entries"));
  EXPECT_THAT(problem({{"latents_mean", {1, 2, 3, 4}}, {"latents_std", {1, 2, 3, 0}}}), HasSubstr("latents_std is 0"));
  EXPECT_THAT(problem({{"latents_mean", 3}}), HasSubstr("must be a list of numbers"));
  EXPECT_THAT(problem({{"latents_mean", {"a"}}}), HasSubstr("must be a list of numbers"));
  EXPECT_THAT(problem({{"scaling_factor", 0}}), HasSubstr("scaling_factor is 0"));
  EXPECT_THAT(problem({{"shift_factor", 0.1}}), HasSubstr("shift_factor is 0.1"));
  EXPECT_THAT(problem({{"_class_name", "AutoencoderTiny"}}), HasSubstr("only \"AutoencoderKL\" is"));
  EXPECT_THAT(problem({{"up_block_types", {"UpDecoderBlock2D", "AttnUpDecoderBlock2D"}}}),
              HasSubstr("only UpDecoderBlock2D"));
  EXPECT_THAT(problem({{"block_out_channels", {48, 64}}}), HasSubstr("does not divide block_out_channels (48)"));
}

TEST(Config, TinyVae) {
  const TinyVaeConfig vae = parse_tiny_vae_config(R"({"_class_name": "AutoencoderTiny"})", "x");
  EXPECT_THAT(vae.decoder_block_out_channels, ElementsAre(64, 64, 64, 64));
  EXPECT_THAT(vae.num_decoder_blocks, ElementsAre(3, 3, 3, 1));
  const auto problem = [](const char* text) { return bad_file_message([&] { parse_tiny_vae_config(text, "x"); }); };
  EXPECT_THAT(problem(R"({"_class_name": "AutoencoderKL"})"), HasSubstr("only \"AutoencoderTiny\" is"));
  EXPECT_THAT(problem(R"({"_class_name": "AutoencoderTiny", "act_fn": "silu"})"), HasSubstr("act_fn is \"silu\""));
  EXPECT_THAT(problem(R"({"_class_name": "AutoencoderTiny", "num_encoder_blocks": [1, 3]})"),
              HasSubstr("num_encoder_blocks has 2 entries"));
  EXPECT_THAT(problem(R"({"_class_name": "AutoencoderTiny", "decoder_block_out_channels": [64, 64, 64, 32]})"),
              HasSubstr("32 beside 64, must all be equal"));
}

TEST(Config, PartsMustFit) {
  const auto problem = [](const std::function<void(ModelConfig&)>& change) {
    ModelConfig model = sdxl_base();
    change(model);
    return bad_file_message([&] { check(model, "model"); });
  };
  EXPECT_EQ(problem([](ModelConfig&) {}), "");
  EXPECT_THAT(problem([](ModelConfig& m) { m.text_encoder.reset(); }), HasSubstr("the text encoders give 1280"));
  EXPECT_THAT(problem([](ModelConfig& m) { m.text_encoder_2.projection_dim = 0; }), HasSubstr("no text_projection"));
  EXPECT_THAT(problem([](ModelConfig& m) { m.requires_aesthetics_score = true; }), HasSubstr("must be 2560"));
  EXPECT_THAT(problem([](ModelConfig& m) { m.unet.out_channels = 8; }), HasSubstr("gives 8 channels, the VAE takes 4"));
  EXPECT_EQ(problem([](ModelConfig& m) { m.unet.in_channels = 9; }), "");
  EXPECT_THAT(problem([](ModelConfig& m) { m.unet.in_channels = 8; }), HasSubstr("takes 8 channels (in_channels)"));
}

TEST(Config, ReadsTheReferenceModel) {
  const std::filesystem::path model = TEMPERA_REFERENCE "/dev/model";
  if (!std::filesystem::exists(model)) GTEST_SKIP();
  const auto text = [&](const std::filesystem::path& path) { return read_text_file(path, 1 << 20); };
  ModelConfig config;
  config.text_encoder = parse_clip_config(text(model / "text_encoder/config.json"), "te", false);
  config.text_encoder_2 = parse_clip_config(text(model / "text_encoder_2/config.json"), "te2", true);
  config.unet = parse_unet_config(text(model / "unet/config.json"), "unet");
  config.vae = parse_vae_config(text(model / "vae/config.json"), "vae");
  check(config, "model");
  ModelConfig expected = preset("tiny");
  expected.text_encoder->eos_token_id = 2;
  expected.text_encoder_2.eos_token_id = 2;
  EXPECT_EQ(config, expected);
  const TinyVaeConfig tiny = parse_tiny_vae_config(text(model / "../taesd/config.json"), "taesd");
  EXPECT_THAT(tiny.encoder_block_out_channels, ElementsAre(16, 16, 16, 16));
  EXPECT_EQ(parse_unet_config(text(model / "../refiner/unet/config.json"), "refiner").cross_attention_dim, 64);
}

}  // namespace
}  // namespace tempera
