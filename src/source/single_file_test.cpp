// The model of a single-file checkpoint, and the refusal of incomplete ones and of other models.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <filesystem>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>

#include "source/model_source.h"
#include "source/test_models.h"
#include "support/test_files.h"
#include "weights/made.h"
#include "weights/safetensors.h"

namespace tempera {
namespace {
namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

std::string opening(const fs::path& model, const OpenOptions& options = {}) {
  return bad_file_message([&] { open_model(model, options); });
}

// Names and shapes without elements.
MadeCheckpoint declared(const Tensors& tensors) {
  MadeCheckpoint::Tensors made;
  for (const TensorSpec& tensor : tensors) made[tensor.name] = {tensor.dtype, tensor.dims, {}};
  return {std::move(made), "a declaration"};
}

TEST(LdmConfig, PublishedModelsFromTheirShapes) {
  for (const char* name : {"sdxl-base", "sdxl-refiner", "ssd-1b", "segmind-vega", "koala-1b", "koala-700m"}) {
    const ModelConfig config = preset(name);
    const LdmModel read = read_ldm_model(declared(single_file_tensors(config)), "x");
    EXPECT_EQ(read.config, config) << name;
    EXPECT_EQ(read.layout, ldm_layout(config)) << name;
  }
}

class SingleFile : public testing::Test {
 protected:
  ModelSource open(const ModelConfig& config, const Tensors& more = {}) {
    Tensors tensors = single_file_tensors(config);
    tensors.insert(tensors.end(), more.begin(), more.end());
    write_zeros(path_, tensors);
    return open_model(path_);
  }
  std::string problem(const Tensors& tensors) {
    write_zeros(path_, tensors);
    return opening(path_);
  }

  TemporaryFolder folder_;
  fs::path path_ = folder_ / "model.safetensors";
};

TEST_F(SingleFile, ConfigurationFromShapes) {
  const ModelConfig config = small_model();
  const ModelSource source = open(config);
  EXPECT_EQ(source.config, config);
  EXPECT_EQ(source.kind(), "SDXL");
  const auto scheduler = nlohmann::json::parse(source.scheduler_config);
  EXPECT_EQ(scheduler["_class_name"], "EulerDiscreteScheduler");
  EXPECT_EQ(scheduler["prediction_type"], "epsilon");
  EXPECT_EQ(scheduler["rescale_betas_zero_snr"], false);
  EXPECT_THAT(source.tokenizer.string(), IsEmpty());
  EXPECT_EQ(source.file_bytes(), fs::file_size(path_));
  EXPECT_EQ(source.component("text_encoder_2").weights->get("text_model.encoder.layers.1.self_attn.v_proj.weight").dims,
            (std::vector<int64_t>{64, 64}));
}

TEST_F(SingleFile, Refiner) {
  ModelConfig config = small_model();
  config.text_encoder.reset();
  config.force_zeros_for_empty_prompt = false;
  config.requires_aesthetics_score = true;
  config.unet.cross_attention_dim = 64;
  config.unet.projection_class_embeddings_input_dim = 64 + 5 * 256;
  config.unet.down.push_back({128, 0, {0, 0}});
  config.unet.up.insert(config.unet.up.begin(), UnetBlock{128, 0, {0, 0, 0}});
  const ModelSource source = open(config);
  EXPECT_EQ(source.config, config);
  EXPECT_EQ(source.kind(), "SDXL refiner");
  EXPECT_EQ(source.find("text_encoder"), nullptr);
  EXPECT_EQ(source.component("unet").weights->get("up_blocks.0.upsamplers.0.conv.weight").dims.size(), 4u);
}

TEST_F(SingleFile, DistilledAsSsd1b) {
  ModelConfig config = small_model();
  config.unet.mid = {UnetMidBlock::Kind::resnet, 0, 0};
  config.unet.up[0].depths = {2, 2, 5};
  config.unet.up[1].depths = {2, 1, 1};
  EXPECT_EQ(open(config).config, config);
}

TEST_F(SingleFile, DistilledAsKoala) {
  ModelConfig config = small_model();
  config.unet.mid = {UnetMidBlock::Kind::none, 0, 0};
  for (UnetBlock& block : config.unet.down) block.depths.pop_back();
  for (UnetBlock& block : config.unet.up) block.depths.pop_back();
  EXPECT_EQ(open(config).config, config);
}

TEST_F(SingleFile, EmbeddedGuidance) {
  ModelConfig config = small_model();
  config.unet.time_cond_proj_dim = 24;
  const ModelSource source = open(config);
  EXPECT_EQ(source.config, config);
  EXPECT_EQ(source.component("unet").weights->get("time_embedding.cond_proj.weight").dims,
            (std::vector<int64_t>{64, 24}));
}

TEST_F(SingleFile, ProjectionsAsConvolutions) {
  ModelConfig config = small_model();
  config.unet.use_linear_projection = false;
  const ModelSource source = open(config);
  EXPECT_EQ(source.config, config);
  EXPECT_EQ(source.component("unet").weights->get("mid_block.attentions.0.proj_in.weight").dims.size(), 2u);
}

TEST_F(SingleFile, Inpainting) {
  ModelConfig config = small_model();
  config.unet.in_channels = 9;
  EXPECT_EQ(open(config).kind(), "SDXL inpainting");
  config.unet.in_channels = 8;
  EXPECT_THAT(problem(single_file_tensors(config)), HasSubstr("takes 8 channels"));
}

// Depths and layers are not shortened by a missing tensor: it is an error when it is read.
TEST_F(SingleFile, MissingTensorsChangeNoDepth) {
  const ModelConfig config = small_model();
  for (const char* part : {"input_blocks.7.1.transformer_blocks.1.attn2.to_k.weight", "resblocks.1.mlp.c_fc.weight",
                           "layers.2.mlp.fc1.weight", "decoder.up.3.block.2.conv1.weight"}) {
    Tensors tensors = single_file_tensors(config);
    ASSERT_EQ(std::erase_if(tensors, [&](const TensorSpec& tensor) { return tensor.name.ends_with(part); }), 1u)
        << part;
    write_zeros(path_, tensors);
    EXPECT_EQ(open_model(path_).config, config) << part;
  }
}

// Both spellings of the projection give the same tensor.
TEST_F(SingleFile, TextProjectionAsMatrixOfALinear) {
  ModelConfig config = small_model();
  config.text_encoder_2.projection_dim = 32;
  config.unet.projection_class_embeddings_input_dim = 32 + 6 * 256;
  Tensors tensors = single_file_tensors(config);
  for (TensorSpec& tensor : tensors) {
    if (!tensor.name.ends_with("text_projection")) continue;
    EXPECT_EQ(tensor.dims, (std::vector<int64_t>{64, 32}));
    tensor.name += ".weight";
    std::swap(tensor.dims[0], tensor.dims[1]);
  }
  write_zeros(path_, tensors);
  const ModelSource source = open_model(path_);
  EXPECT_EQ(source.config, config);
  EXPECT_EQ(source.component("text_encoder_2").weights->get("text_projection.weight").dims,
            (std::vector<int64_t>{32, 64}));
}

TEST_F(SingleFile, PlaygroundCarriesItsLatents) {
  Tensors tensors = single_file_tensors(small_model());
  tensors.push_back({"edm_mean", DType::f32, {1, 4, 1, 1}});
  tensors.push_back({"edm_std", DType::f32, {1, 4, 1, 1}});
  EXPECT_THAT(problem(tensors), HasSubstr("latents_std is 0"));
  const std::array<float, 8> numbers = {-1.5f, 0, 0.5f, 2, 4, 5, 6, 7};
  std::fstream file(path_, std::ios::in | std::ios::out | std::ios::binary);
  file.seekp(-static_cast<std::streamoff>(sizeof numbers), std::ios::end);
  file.write(reinterpret_cast<const char*>(numbers.data()), sizeof numbers);
  file.close();
  const ModelSource source = open_model(path_);
  EXPECT_THAT(source.config.vae.latents_mean, ElementsAre(-1.5, 0, 0.5, 2));
  EXPECT_THAT(source.config.vae.latents_std, ElementsAre(4, 5, 6, 7));
  EXPECT_EQ(source.config.vae.scaling_factor, 0.5);
  EXPECT_EQ(nlohmann::json::parse(source.scheduler_config)["_class_name"], "EDMDPMSolverMultistepScheduler");
  tensors.back().dims = {3};
  EXPECT_THAT(problem(tensors), HasSubstr("must hold 4 floating-point numbers"));
}

TEST_F(SingleFile, Incomplete) {
  const Tensors whole = single_file_tensors(small_model());
  const auto without = [&](std::string_view part) {
    Tensors tensors = whole;
    std::erase_if(tensors, [&](const TensorSpec& tensor) { return tensor.name.find(part) != std::string::npos; });
    return problem(tensors);
  };
  EXPECT_THAT(without("first_stage_model."), IsEmpty());  // see WithoutVae
  EXPECT_THAT(without("embedders.0."), HasSubstr("is missing: the model is incomplete"));
  EXPECT_THAT(without("embedders."), HasSubstr("looks like an SDXL checkpoint): parts of the text"));
  EXPECT_THAT(without("input_blocks.0.0"), HasSubstr("looks like an SDXL checkpoint): parts of the text"));
  EXPECT_THAT(without("model.diffusion_model."), HasSubstr("looks like a VAE): give it as vae"));
  EXPECT_THAT(without("text_projection"), HasSubstr("has no text_projection"));
  EXPECT_THAT(without("output_blocks.7."), HasSubstr("is missing"));
  EXPECT_THAT(without("output_blocks."), HasSubstr("is missing"));
}

TEST_F(SingleFile, OtherModels) {
  const auto looks_like = [&](const char* tensor) { return problem({{tensor, DType::f32, {1}}}); };
  EXPECT_THAT(looks_like("model.diffusion_model.joint_blocks.0.x_block.mlp.fc1.weight"),
              HasSubstr("is not an SDXL checkpoint (looks like a Stable Diffusion 3 UNet"));
  EXPECT_THAT(looks_like("lora_unet_mid_block.lora_down.weight"),
              HasSubstr("(looks like a LoRA): give model the checkpoint that it is for"));
  EXPECT_THAT(looks_like("clip_g"), HasSubstr("a textual inversion embedding for SDXL)"));
  EXPECT_THAT(looks_like("decoder.layers.0.weight"), HasSubstr("a tiny autoencoder): give it as tiny_vae"));
  EXPECT_THAT(looks_like("foo.bar"), HasSubstr("its first tensor is 'foo.bar'"));
  EXPECT_THAT(problem({}), HasSubstr("it has no tensors"));
}

TEST_F(SingleFile, VariantAndPickleAreRefused) {
  open(small_model());
  EXPECT_THROW(open_model(path_, {.variant = "fp16"}), Error);
  write_file(folder_ / "m.ckpt", "PK\x03\x04 and so on");
  EXPECT_THAT(opening(folder_ / "m.ckpt"), HasSubstr("m.ckpt' is a pickle"));
  write_file(folder_ / "m.gguf", "GGUF");
  EXPECT_THAT(opening(folder_ / "m.gguf"), HasSubstr("truncated"));
  EXPECT_THAT(opening(folder_ / "none.safetensors"), HasSubstr("there is no model"));
}

}  // namespace
}  // namespace tempera
