// Every kind of file from the names and shapes that published files of the kind have.
#include "source/classify.h"

#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include "source/test_models.h"
#include "weights/made.h"

namespace tempera {
namespace {

using Dims = std::vector<int64_t>;
using Header = std::vector<std::pair<std::string, Dims>>;

FileClass class_of(const Header& header, MadeCheckpoint::Metadata metadata = {}) {
  MadeCheckpoint::Tensors tensors;
  for (const auto& [name, dims] : header) tensors[name] = {DType::f16, dims, {}};
  return classify(MadeCheckpoint(std::move(tensors), "x", std::move(metadata)));
}

std::string text_of(const Header& header, MadeCheckpoint::Metadata metadata = {}) {
  return describe(class_of(header, std::move(metadata)));
}

Header header_of(const Tensors& tensors, std::string_view without = "-", std::string_view removed_prefix = "") {
  Header header;
  for (const TensorSpec& tensor : tensors) {
    if (tensor.name.find(without) != std::string::npos) continue;
    const bool cut = tensor.name.starts_with(removed_prefix);
    header.emplace_back(tensor.name.substr(cut ? removed_prefix.size() : 0), tensor.dims);
  }
  return header;
}

TEST(Classify, CheckpointsAndUnetsOfSdxl) {
  for (const char* name : {"sdxl-base", "small"}) {
    const Tensors tensors = single_file_tensors(preset(name));
    EXPECT_EQ(text_of(header_of(tensors)), "an SDXL checkpoint") << name;
    EXPECT_EQ(text_of(header_of(tensors, "first_stage_model.")), "an SDXL checkpoint") << name;
  }
  const Tensors refiner = single_file_tensors(sdxl_refiner());
  EXPECT_EQ(text_of(header_of(refiner)), "an SDXL refiner checkpoint");
  Tensors unet;
  for (const TensorSpec& tensor : single_file_tensors(sdxl_base()))
    if (tensor.name.starts_with("model.")) unet.push_back(tensor);
  EXPECT_EQ(text_of(header_of(unet)), "an SDXL UNet without its other parts");
  EXPECT_EQ(class_of(header_of(unet, "-", "model.diffusion_model.")).base, "sdxl");  // ComfyUI-GGUF
  EXPECT_EQ(text_of(header_of(tensors_of(sdxl_base().unet))), "an SDXL UNet without its other parts");
  ModelConfig inpainting = sdxl_base();
  inpainting.unet.in_channels = 9;
  EXPECT_EQ(text_of(header_of(single_file_tensors(inpainting))), "an SDXL inpainting checkpoint");
}

TEST(Classify, MarksOfTheSampling) {
  const Header plain = header_of(single_file_tensors(preset("small")));
  const auto with = [&](const char* mark) {
    Header marked = plain;
    marked.emplace_back(mark, Dims{});
    return class_of(marked);
  };
  EXPECT_EQ(class_of(plain).prediction, "");
  EXPECT_FALSE(class_of(plain).zero_terminal_snr);
  EXPECT_EQ(with("v_pred").prediction, "v_prediction");
  EXPECT_TRUE(with("ztsnr").zero_terminal_snr);
  EXPECT_TRUE(with("edm_mean").edm);
  EXPECT_TRUE(with("edm_vpred.sigma_max").edm);
  EXPECT_EQ(with("edm_vpred.sigma_max").prediction, "v_prediction");
  EXPECT_EQ(class_of(plain, {{"modelspec.prediction_type", "v"}}).prediction, "v_prediction");
  EXPECT_EQ(class_of(plain, {{"modelspec.prediction_type", "epsilon"}}).prediction, "epsilon");
}

TEST(Classify, CheckpointsOfOtherFamilies) {
  const std::string unet = "model.diffusion_model.";
  const auto older = [&](int64_t width, const char* text) {
    return text_of({{unet + "time_embed.0.weight", {1280, 320}},
                    {unet + "input_blocks.1.1.transformer_blocks.0.attn2.to_k.weight", {320, width}},
                    {text, {1}}});
  };
  EXPECT_EQ(older(768, "cond_stage_model.transformer.text_model.final_layer_norm.bias"),
            "a Stable Diffusion 1 checkpoint");
  EXPECT_EQ(older(1024, "cond_stage_model.model.ln_final.bias"), "a Stable Diffusion 2 checkpoint");
  EXPECT_EQ(text_of({{unet + "joint_blocks.0.x_block.mlp.fc1.weight", {1}}, {"first_stage_model.decoder.x", {1}}}),
            "a Stable Diffusion 3 checkpoint");
  EXPECT_EQ(text_of({{"double_blocks.0.img_attn.qkv.weight", {1}}}), "a Flux UNet without its other parts");
  EXPECT_EQ(text_of({{"single_transformer_blocks.0.attn.to_q.weight", {1}},
                     {"transformer_blocks.0.attn.add_q_proj.weight", {1}}}),
            "a Flux UNet without its other parts");
  EXPECT_EQ(class_of({{"t_block.1.weight", {1}}}).base, "pixart");
  EXPECT_EQ(class_of({{"clip_txt_mapper.weight", {1}}}).base, "stable-cascade");
  EXPECT_EQ(class_of({{"mlp_t5.0.weight", {1}}}).base, "hunyuan-dit");
  EXPECT_EQ(class_of({{"double_blocks.0.img_attn_qkv.weight", {1}}}).base, "hunyuan-video");
}

TEST(Classify, Loras) {
  EXPECT_EQ(text_of({{"lora_unet_input_blocks_4_1_transformer_blocks_0_attn2_to_k.lora_down.weight", {8, 2048}}}),
            "a LoRA for SDXL");
  EXPECT_EQ(
      text_of({{"lora_unet_down_blocks_0_attentions_0_transformer_blocks_0_attn2_to_k.lora_down.weight", {8, 768}}}),
      "a LoRA for Stable Diffusion 1");
  EXPECT_EQ(text_of({{"unet.down_blocks.1.attentions.0.transformer_blocks.0.attn2.to_k.lora_A.weight", {4, 2048}}}),
            "a LoRA for SDXL");
  EXPECT_EQ(text_of({{"lora_te2_text_model_encoder_layers_0_mlp_fc1.lora_down.weight", {4, 64}}}), "a LoRA for SDXL");
  EXPECT_EQ(text_of({{"lora_unet_x.hada_w1_a", {4, 3}}}, {{"ss_base_model_version", "sdxl_base_v1-0"}}),
            "a LoRA for SDXL");
  EXPECT_EQ(text_of({{"lora_unet_double_blocks_0_img_attn_qkv.lora_down.weight", {4, 64}}}), "a LoRA for Flux");
  EXPECT_EQ(text_of({{"lora_unet_conv_in.diff", {32, 4, 3, 3}}}), "a LoRA");
  EXPECT_EQ(text_of({{"lora_unet_down_blocks_0_attentions_0_transformer_blocks_0_attn2_to_k.hada_w1_b", {4, 768}}}),
            "a LoRA for Stable Diffusion 1");
  EXPECT_EQ(text_of({{"lora_te_text_model_encoder_layers_0_self_attn_q_proj.lora_down.weight", {4, 768}}}),
            "a LoRA for Stable Diffusion 1");
  EXPECT_EQ(text_of({{"lycoris_conv_in.lokr_w1", {4, 4}}}), "a LoRA");
  EXPECT_EQ(text_of({{"bundle_emb.word.clip_l", {1, 768}}}), "a LoRA");
}

TEST(Classify, FilesThatGoWithACheckpoint) {
  EXPECT_EQ(text_of({{"clip_g", {2, 1280}}, {"clip_l", {2, 768}}}), "a textual inversion embedding for SDXL");
  EXPECT_EQ(text_of({{"emb_params", {4, 768}}}), "a textual inversion embedding for Stable Diffusion 1");
  EXPECT_EQ(text_of({{"<cat>", {1, 768}}}), "a textual inversion embedding for Stable Diffusion 1");
  EXPECT_EQ(text_of({{"<cat>", {768}}}), "a textual inversion embedding for Stable Diffusion 1");
  EXPECT_EQ(text_of({{"<cat>", {1024}}}), "a textual inversion embedding for Stable Diffusion 2");
  EXPECT_EQ(text_of({{"emb_params", {2, 1280}}}), "a textual inversion embedding for SDXL");
  EXPECT_EQ(text_of({{"string_to_param.*", {2, 1024}}, {"string_to_token.*", {}}}),
            "a textual inversion embedding for Stable Diffusion 2");
  EXPECT_EQ(text_of({{"clip_l", {2, 768}}}), "a textual inversion embedding") << "several families have CLIP L";
  EXPECT_EQ(text_of({{"text_encoders_0", {2, 768}}, {"text_encoders_1", {2, 1280}}}),
            "a textual inversion embedding for SDXL");
  EXPECT_EQ(text_of({{"controlnet_cond_embedding.conv_in.weight", {16, 3, 3, 3}},
                     {"add_embedding.linear_1.weight", {1280, 2816}},
                     {"time_embedding.linear_1.weight", {1280, 320}}}),
            "a ControlNet for SDXL");
  EXPECT_EQ(text_of({{"control_model.input_blocks.1.1.transformer_blocks.0.attn2.to_k.weight", {320, 768}},
                     {"control_model.time_embed.0.weight", {1280, 320}}}),
            "a ControlNet for Stable Diffusion 1");
  EXPECT_EQ(text_of({{"adapter.body.0.resnets.0.block1.weight", {320, 320, 3, 3}},
                     {"adapter.conv_in.weight", {320, 768, 3, 3}}}),
            "a T2I-Adapter for SDXL");
  EXPECT_EQ(text_of({{"body.0.block1.weight", {320, 320, 3, 3}}, {"conv_in.weight", {320, 192, 3, 3}}}),
            "a T2I-Adapter for Stable Diffusion 1");
  EXPECT_EQ(text_of({{"ip_adapter.1.to_k_ip.weight", {640, 2048}}, {"image_proj.norm.bias", {2048}}}),
            "an IP-Adapter for SDXL");
  EXPECT_EQ(text_of({{"vision_model.embeddings.patch_embedding.weight", {1664, 3, 14, 14}}}), "an image encoder");
}

TEST(Classify, PartsOfModels) {
  const ModelConfig model = sdxl_base();
  EXPECT_EQ(text_of(header_of(tensors_of(model.vae))), "a VAE");
  EXPECT_EQ(text_of({{"first_stage_model.decoder.conv_in.weight", {512, 16, 3, 3}},
                     {"first_stage_model.decoder.up.0.block.0.conv1.weight", {128, 128, 3, 3}}}),
            "a VAE for Stable Diffusion 3 or Flux");
  EXPECT_EQ(
      text_of({{"decoder.up.0.block.0.conv1.weight", {128, 128, 3, 3}}, {"decoder.conv_in.weight", {512, 4, 3, 3}}}),
      "a VAE");
  EXPECT_EQ(text_of(header_of(tensors_of(tiny_vae_preset("sdxl-base")))), "a tiny autoencoder");
  EXPECT_EQ(text_of({{"taesd_decoder.1.weight", {64, 4, 3, 3}}}), "a tiny autoencoder");
  EXPECT_EQ(text_of(header_of(tensors_of(*model.text_encoder))), "a text encoder (CLIP L)");
  EXPECT_EQ(text_of({{"encoder.block.0.layer.0.SelfAttention.k.weight", {4096, 4096}}}), "a text encoder (T5)");
  EXPECT_EQ(text_of({{"conv_first.weight", {64, 3, 3, 3}}, {"body.0.rdb1.conv1.weight", {32, 64, 3, 3}}}),
            "an upscaler");
}

TEST(Classify, UnknownFiles) {
  EXPECT_EQ(text_of({}), "a file of an unknown kind");
  EXPECT_EQ(text_of({{"foo.bar", {3}}}), "a file of an unknown kind");
  EXPECT_EQ(class_of({{"foo.bar", {3}}}).reason, "");
}

}  // namespace
}  // namespace tempera
