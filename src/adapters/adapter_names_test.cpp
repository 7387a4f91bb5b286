#include "adapters/adapter_names.h"

#include <gtest/gtest.h>

#include "adapters/test_adapters.h"

namespace tempera {
namespace {

constexpr const char* kBlock = "down_blocks.1.attentions.0.transformer_blocks.0.";

struct Case {
  std::string key, component, parameter, part;
};

void expect_places(const std::vector<Case>& cases) {
  const AdapterNames names(test::some_parameters());
  for (const Case& expected : cases) {
    const auto place = names.find(expected.key);
    ASSERT_TRUE(place) << expected.key;
    const ModelParameter& parameter = names.parameters()[place->parameter];
    EXPECT_EQ(parameter.component, expected.component) << expected.key;
    EXPECT_EQ(parameter.name, expected.parameter) << expected.key;
    EXPECT_EQ(place->part, expected.part) << expected.key;
  }
}

TEST(AdapterNames, Kohya) {
  const std::string q = std::string(kBlock) + "attn1.to_q.weight";
  const std::string text = "text_model.encoder.layers.0.self_attn.q_proj.weight";
  expect_places({
      {"lora_unet_down_blocks_1_attentions_0_transformer_blocks_0_attn1_to_q.lora_down.weight", "unet", q, "lora_down"},
      {"lora_unet_down_blocks_1_attentions_0_transformer_blocks_0_attn1_to_q.alpha", "unet", q, "alpha"},
      {"lora_unet_input_blocks_4_1_transformer_blocks_0_attn1_to_q.lora_up.weight", "unet", q, "lora_up"},
      {"lora_unet_input_blocks_0_0.lora_mid.weight", "unet", "conv_in.weight", "lora_mid"},
      {"lora_unet_time_embed_0.lora_up.weight", "unet", "time_embedding.linear_1.weight", "lora_up"},
      {"lora_te1_text_model_encoder_layers_0_self_attn_q_proj.alpha", "text_encoder", text, "alpha"},
      {"lora_te_text_model_encoder_layers_0_self_attn_q_proj.alpha", "text_encoder", text, "alpha"},
      {"lora_te2_text_model_encoder_layers_0_self_attn_q_proj.lora_up.weight", "text_encoder_2", text, "lora_up"},
      {"lora_te2_text_projection.lora_down.weight", "text_encoder_2", "text_projection.weight", "lora_down"},
  });
}

TEST(AdapterNames, OneTrainerAndLycorisWrappers) {
  expect_places({
      {"lora_unet.conv_in.lora_down.weight", "unet", "conv_in.weight", "lora_down"},
      {"unet.input_blocks.0.0.lora_up.weight", "unet", "conv_in.weight", "lora_up"},
      {"clip_l.text_model.encoder.layers.0.self_attn.out_proj.alpha", "text_encoder",
       "text_model.encoder.layers.0.self_attn.out_proj.weight", "alpha"},
      {"clip_g.text_projection.dora_scale", "text_encoder_2", "text_projection.weight", "dora_scale"},
      {"lycoris_conv_in.lokr_w1", "unet", "conv_in.weight", "lokr_w1"},
      {"lycoris_lora_unet_conv_in.lokr_w2_a", "unet", "conv_in.weight", "lokr_w2_a"},
      {"diffusion_model.middle_block.1.proj_in.lora_up.weight", "unet", "mid_block.attentions.0.proj_in.weight",
       "lora_up"},
      {"text_encoders.clip_g.transformer.text_projection.lora_up.weight", "text_encoder_2", "text_projection.weight",
       "lora_up"},
  });
}

TEST(AdapterNames, Diffusers) {
  const std::string block = kBlock;
  expect_places({
      {"unet." + block + "attn1.processor.to_q_lora.down.weight", "unet", block + "attn1.to_q.weight", "lora_down"},
      {"unet." + block + "attn1.processor.to_out_lora.up.weight", "unet", block + "attn1.to_out.0.weight", "lora_up"},
      {block + "attn1.processor.to_q_lora.up.weight", "unet", block + "attn1.to_q.weight", "lora_up"},
      {"unet." + block + "attn1.to_q.lora.down.weight", "unet", block + "attn1.to_q.weight", "lora_down"},
      {"unet.conv_in.lora.up.weight", "unet", "conv_in.weight", "lora_up"},
      {"text_encoder.text_model.encoder.layers.0.self_attn.q_proj.lora_linear_layer.down.weight", "text_encoder",
       "text_model.encoder.layers.0.self_attn.q_proj.weight", "lora_down"},
      {"text_encoder_2.text_model.encoder.layers.0.self_attn.to_out_lora.up.weight", "text_encoder_2",
       "text_model.encoder.layers.0.self_attn.out_proj.weight", "lora_up"},
      {"text_encoder.text_model.encoder.layers.0.self_attn.to_q_lora.up.weight", "text_encoder",
       "text_model.encoder.layers.0.self_attn.q_proj.weight", "lora_up"},
  });
}

TEST(AdapterNames, Peft) {
  expect_places({
      {"unet.conv_in.lora_A.weight", "unet", "conv_in.weight", "lora_down"},
      {"base_model.model.unet.conv_in.lora_B.weight", "unet", "conv_in.weight", "lora_up"},
      {"base_model.model.conv_in.lora_A.default.weight", "unet", "conv_in.weight", "lora_down"},
      {"unet.conv_in.lora_magnitude_vector", "unet", "conv_in.weight", "dora_scale"},
      {"unet.conv_in.lora_magnitude_vector.weight", "unet", "conv_in.weight", "dora_scale"},
      {"unet.conv_in.lora_magnitude_vector.default.weight", "unet", "conv_in.weight", "dora_scale"},
      {"unet.conv_in.lora_magnitude_vector.default", "unet", "conv_in.weight", "dora_scale"},
      // transformers from 5.6 on has no "text_model" in its first encoder
      {"text_encoder.encoder.layers.0.self_attn.q_proj.lora_A.weight", "text_encoder",
       "text_model.encoder.layers.0.self_attn.q_proj.weight", "lora_down"},
      {"text_encoder_2.text_projection.lora_B.weight", "text_encoder_2", "text_projection.weight", "lora_up"},
  });
}

TEST(AdapterNames, DifferencesOfBiasesAndNorms) {
  const std::string norm = std::string(kBlock) + "norm1";
  expect_places({
      {"lora_unet_conv_in.diff", "unet", "conv_in.weight", "diff"},
      {"lora_unet_conv_in.diff_b", "unet", "conv_in.bias", "diff"},
      {"lora_unet_down_blocks_1_attentions_0_transformer_blocks_0_norm1.w_norm", "unet", norm + ".weight", "diff"},
      {"lora_unet_input_blocks_4_1_transformer_blocks_0_norm1.b_norm", "unet", norm + ".bias", "diff"},
  });
}

TEST(AdapterNames, UnknownNamesHaveNoPlace) {
  const AdapterNames names(test::some_parameters());
  for (const char* key : {
           "",
           ".",
           "..",
           "alpha",
           ".alpha",
           "lora_unet_",
           "lora_unet_.alpha",
           "lora_unet_conv_in",
           "conv_in.",
           "lora_unet_conv_out.lora_down.weight",                                          // not a module of this model
           "lora_unet_down_blocks_1_attentions_0_transformer_blocks_0_attn1_to_q.diff_b",  // it has no bias
           "lora_te1_text_projection.lora_down.weight",                                    // only encoder 2 has it
           "lora_te3_text_projection.lora_down.weight",
           "lora_unet_conv_in.oft_R.weight",
           "lora_unet_conv_in.down.weight",
           "lora_unet_conv_in.foo.down.weight",
           "unet._lora.down.weight",
           "unet.conv_in.lora_C.weight",
           "unet.conv_in.lora_B.bias",
       }) {
    EXPECT_FALSE(names.find(key)) << key;
  }
}

}  // namespace
}  // namespace tempera
