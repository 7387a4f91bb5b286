// A model is the same model however it is stored; what is no model, or only part of one, is refused in one sentence.
#include "pipeline/model_source.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <functional>
#include <nlohmann/json.hpp>
#include <set>

#include "base/json.h"
#include "pipeline/ldm_config.h"
#include "weights/safetensors.h"
#include "weights/test_files.h"

namespace tempera {
namespace {
namespace fs = std::filesystem;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

constexpr std::array kAll = {Component::text_encoder, Component::text_encoder_2, Component::unet, Component::vae};
const fs::path kReference = TEMPERA_REFERENCE "/dev";

std::string opening(const fs::path& model, const OpenOptions& options = {}) {
  return bad_file_message([&] { open_model(model, options); });
}

OpenOptions with_configs_of(const fs::path& folder) {
  return {.model_config = folder, .tokenizer = folder};
}

// --- The reference model, from its folder and from the single file.

TEST(ModelSource, FolderAndSingleFileAreTheSame) {
  if (!fs::exists(kReference)) GTEST_SKIP();
  const ModelSource folder = open_model(kReference / "model");
  const ModelSource file = open_model(kReference / "model_ldm.safetensors", with_configs_of(kReference / "model"));
  EXPECT_EQ(folder.layout, ModelSource::Layout::diffusers_folder);
  EXPECT_EQ(file.layout, ModelSource::Layout::single_file);
  EXPECT_EQ(folder.config, file.config);
  EXPECT_EQ(folder.kind(), "SDXL");
  size_t tensors = 0;
  for (const Component which : kAll) {
    const Checkpoint& one = *folder.component(which).weights;
    const Checkpoint& other = *file.component(which).weights;
    ASSERT_EQ(one.names(), other.names()) << name(which);
    for (const std::string& tensor : one.names()) {
      const TensorView a = one.get(tensor);
      const TensorView b = other.get(tensor);
      EXPECT_EQ(a.dtype, b.dtype) << tensor;
      EXPECT_EQ(a.dims, b.dims) << tensor;
      EXPECT_TRUE(std::ranges::equal(a.bytes, b.bytes)) << tensor;
      ++tensors;
    }
    EXPECT_EQ(folder.component(which).parameters, file.component(which).parameters);
    EXPECT_EQ(folder.component(which).bytes, file.component(which).bytes);
    EXPECT_EQ(folder.component(which).parameters_by_dtype.size(), 1u);
  }
  EXPECT_GT(tensors, 900u);
}

TEST(ModelSource, LdmNamesAreABijection) {
  if (!fs::exists(kReference)) GTEST_SKIP();
  const ModelSource folder = open_model(kReference / "model");
  const SafetensorsFile file(kReference / "model_ldm.safetensors");
  const LdmNames names(ldm_layout(folder.config));
  std::set<std::string> reached;
  for (const Component which : kAll) {
    for (const std::string& tensor : folder.component(which).weights->names()) {
      const auto source = names.ldm_name(which, tensor);
      ASSERT_TRUE(source) << tensor;
      const bool is_part = source->transform >= Transform::third_0 && source->transform <= Transform::third_2;
      const std::string part = is_part ? fmt::format(" {}", static_cast<int>(source->transform)) : "";
      EXPECT_TRUE(reached.insert(source->name + part).second) << source->name;
      EXPECT_EQ(untransformed(source->transform, folder.component(which).weights->get(tensor).dims),
                file.get(source->name).dims)
          << tensor;
    }
  }
  std::set<std::string> expected;
  for (const std::string& tensor : file.names()) {
    if (tensor.find("in_proj_") == std::string::npos) {
      expected.insert(tensor);
      continue;
    }
    for (const Transform third : {Transform::third_0, Transform::third_1, Transform::third_2}) {
      expected.insert(fmt::format("{} {}", tensor, static_cast<int>(third)));
    }
  }
  EXPECT_EQ(reached, expected);
}

TEST(ModelSource, ReferenceFolder) {
  if (!fs::exists(kReference)) GTEST_SKIP();
  const ModelSource folder = open_model(kReference / "model");
  ModelConfig expected = preset("tiny");
  expected.text_encoder->eos_token_id = 2;
  expected.text_encoder_2.eos_token_id = 2;
  EXPECT_EQ(folder.config, expected);
  EXPECT_EQ(folder.tokenizer, kReference / "model" / "tokenizer");
  EXPECT_EQ(folder.tokenizer_2, kReference / "model" / "tokenizer_2");
  EXPECT_THAT(folder.scheduler_config, HasSubstr("EulerDiscreteScheduler"));
  EXPECT_THAT(folder.component(Component::unet).files,
              ElementsAre(kReference / "model" / "unet" / "diffusion_pytorch_model.safetensors"));
  // Parameters of f16, so half as many as bytes.
  EXPECT_EQ(folder.component(Component::unet).parameters_by_dtype,
            (std::map<DType, int64_t>{{DType::f16, folder.component(Component::unet).parameters}}));
  EXPECT_EQ(folder.component(Component::unet).bytes, 2u * folder.component(Component::unet).parameters);
  EXPECT_GT(folder.file_bytes(), 28'000'000u);
}

// The reference's refiner shares parts with its model; linked here, since a copy of the reference may have lost its
// links.
TEST(ModelSource, ReferenceRefiner) {
  if (!fs::exists(kReference)) GTEST_SKIP();
  const TempFolder folder;
  for (const char* own : {"model_index.json", "scheduler", "unet"})
    fs::create_symlink(kReference / "refiner" / own, folder / own);
  for (const char* shared : {"text_encoder_2", "tokenizer_2", "vae"}) {
    fs::create_directory_symlink(kReference / "model" / shared, folder / shared);
  }
  const ModelSource refiner = open_model(folder.path());
  EXPECT_EQ(refiner.kind(), "SDXL refiner");
  EXPECT_FALSE(refiner.config.text_encoder);
  EXPECT_FALSE(refiner.components[0]);
  EXPECT_TRUE(refiner.config.requires_aesthetics_score);
  EXPECT_FALSE(refiner.config.force_zeros_for_empty_prompt);
  EXPECT_THAT(refiner.tokenizer.string(), IsEmpty());
  EXPECT_EQ(refiner.tokenizer_2, folder / "tokenizer_2");
  EXPECT_THAT(opening(kReference / "model_ldm.safetensors", {.model_config = folder.path()}),
              HasSubstr("is no refiner, but the configs in"));
}

TEST(ModelSource, ReferenceSingleFileNeedsConfigs) {
  if (!fs::exists(kReference)) GTEST_SKIP();
  EXPECT_THAT(opening(kReference / "model_ldm.safetensors"),
              AllOf(HasSubstr("which is no multiple of 64"), HasSubstr("--model-config")));
  EXPECT_THAT(opening(kReference / "lora.safetensors"), HasSubstr("is not an SDXL checkpoint (looks like a LoRA)"));
  EXPECT_THAT(opening(kReference / "model" / "vae" / "diffusion_pytorch_model.safetensors"),
              HasSubstr("(looks like a component of a diffusers model: give the folder"));
  EXPECT_THAT(opening(kReference / "model" / "text_encoder" / "model.safetensors"), HasSubstr("a text encoder alone"));
}

// --- Models made here: zeros of the right names and shapes.

using Tensors = std::vector<TensorSpec>;

void add_resnet(Tensors& tensors, const std::string& prefix, int in, int out, int time) {
  tensors.push_back({prefix + "norm1.weight", DType::f16, {in}});
  tensors.push_back({prefix + "conv1.weight", DType::f16, {out, in, 3, 3}});
  tensors.push_back({prefix + "conv2.weight", DType::f16, {out, out, 3, 3}});
  if (time > 0) tensors.push_back({prefix + "time_emb_proj.weight", DType::f16, {out, time}});
}

void add_transformer(Tensors& tensors, const std::string& prefix, int width, int depth, const UnetConfig& unet) {
  if (depth == 0) return;
  const std::vector<int64_t> projection =
      unet.use_linear_projection ? std::vector<int64_t>{width, width} : std::vector<int64_t>{width, width, 1, 1};
  tensors.push_back({prefix + "norm.weight", DType::f16, {width}});
  tensors.push_back({prefix + "proj_in.weight", DType::f16, projection});
  for (int i = 0; i < depth; ++i) {
    tensors.push_back({fmt::format("{}transformer_blocks.{}.attn2.to_k.weight", prefix, i),
                       DType::f16,
                       {width, unet.cross_attention_dim}});
  }
}

void add_block(Tensors& tensors, const std::string& prefix, const UnetBlock& block, const UnetConfig& unet) {
  for (int i = 0; i < block.resnets(); ++i) {
    add_resnet(tensors, fmt::format("{}resnets.{}.", prefix, i), block.channels, block.channels,
               unet.time_embedding_dim);
    add_transformer(tensors, fmt::format("{}attentions.{}.", prefix, i), block.channels, block.depths[i], unet);
  }
}

// Enough of a component's tensors to recognise its configuration, under diffusers' names.
Tensors unet_tensors(const UnetConfig& unet) {
  Tensors tensors = {{"conv_in.weight", DType::f16, {unet.down[0].channels, unet.in_channels, 3, 3}},
                     {"conv_out.weight", DType::f16, {unet.out_channels, unet.down[0].channels, 3, 3}},
                     {"time_embedding.linear_1.weight", DType::f16, {unet.time_embedding_dim, unet.down[0].channels}},
                     {"add_embedding.linear_1.weight",
                      DType::f16,
                      {unet.time_embedding_dim, unet.projection_class_embeddings_input_dim}}};
  for (size_t i = 0; i < unet.down.size(); ++i) {
    const bool last = i + 1 == unet.down.size();
    const int down = unet.down[i].channels, up = unet.up[i].channels;
    add_block(tensors, fmt::format("down_blocks.{}.", i), unet.down[i], unet);
    add_block(tensors, fmt::format("up_blocks.{}.", i), unet.up[i], unet);
    if (last) continue;
    tensors.push_back({fmt::format("down_blocks.{}.downsamplers.0.conv.weight", i), DType::f16, {down, down, 3, 3}});
    tensors.push_back({fmt::format("up_blocks.{}.upsamplers.0.conv.weight", i), DType::f16, {up, up, 3, 3}});
  }
  const int inner = unet.down.back().channels;
  if (unet.mid.kind != UnetMidBlock::Kind::none) {
    add_resnet(tensors, "mid_block.resnets.0.", inner, inner, unet.time_embedding_dim);
  }
  if (unet.mid.kind == UnetMidBlock::Kind::cross_attention) {
    add_transformer(tensors, "mid_block.attentions.0.", inner, unet.mid.depth, unet);
    add_resnet(tensors, "mid_block.resnets.1.", inner, inner, unet.time_embedding_dim);
  }
  return tensors;
}

Tensors vae_tensors(const VaeConfig& vae) {
  const auto levels = static_cast<int>(vae.block_out_channels.size());
  const int inner = vae.block_out_channels.back();
  Tensors tensors = {{"decoder.conv_in.weight", DType::f16, {inner, vae.latent_channels, 3, 3}},
                     {"decoder.conv_out.weight", DType::f16, {vae.out_channels, vae.block_out_channels[0], 3, 3}},
                     {"decoder.mid_block.attentions.0.to_q.weight", DType::f16, {inner, inner}},
                     {"post_quant_conv.weight", DType::f16, {vae.latent_channels, vae.latent_channels, 1, 1}},
                     {"quant_conv.weight", DType::f16, {2 * vae.latent_channels, 2 * vae.latent_channels, 1, 1}}};
  for (int i = 0; i < levels; ++i) {
    const int width = vae.block_out_channels[levels - 1 - i];
    for (int j = 0; j <= vae.layers_per_block; ++j) {
      add_resnet(tensors, fmt::format("decoder.up_blocks.{}.resnets.{}.", i, j), width, width, 0);
    }
  }
  return tensors;
}

Tensors clip_tensors(const ClipConfig& clip) {
  Tensors tensors = {{"text_model.embeddings.token_embedding.weight", DType::f16, {clip.vocab_size, clip.hidden_size}},
                     {"text_model.embeddings.position_embedding.weight",
                      DType::f16,
                      {clip.max_position_embeddings, clip.hidden_size}}};
  for (int i = 0; i < clip.num_hidden_layers; ++i) {
    const std::string layer = fmt::format("text_model.encoder.layers.{}.", i);
    tensors.push_back({layer + "mlp.fc1.weight", DType::f16, {clip.intermediate_size, clip.hidden_size}});
    tensors.push_back({layer + "mlp.fc2.bias", DType::f16, {clip.hidden_size}});
    for (const char* part : {"q", "k", "v"}) {
      tensors.push_back(
          {fmt::format("{}self_attn.{}_proj.weight", layer, part), DType::f16, {clip.hidden_size, clip.hidden_size}});
    }
  }
  if (clip.projection_dim > 0) {
    tensors.push_back({"text_projection.weight", DType::f16, {clip.projection_dim, clip.hidden_size}});
  }
  return tensors;
}

std::vector<std::pair<Component, Tensors>> model_tensors(const ModelConfig& config) {
  std::vector<std::pair<Component, Tensors>> all;
  if (config.text_encoder) all.emplace_back(Component::text_encoder, clip_tensors(*config.text_encoder));
  all.emplace_back(Component::text_encoder_2, clip_tensors(config.text_encoder_2));
  all.emplace_back(Component::unet, unet_tensors(config.unet));
  all.emplace_back(Component::vae, vae_tensors(config.vae));
  return all;
}

void write_zeros(const fs::path& path, const Tensors& tensors) {
  fs::create_directories(path.parent_path());
  SafetensorsWriter writer(path, tensors);
  for (const TensorSpec& tensor : tensors) writer.append(std::vector<std::byte>(tensor.bytes()));
  writer.commit();
}

Tensors single_file_tensors(const ModelConfig& config) {
  const LdmNames names(ldm_layout(config));
  Tensors tensors;
  for (const auto& [component, parts] : model_tensors(config)) {
    for (const TensorSpec& part : parts) {
      const auto source = names.ldm_name(component, part.name);
      if (!source) throw std::logic_error(part.name);
      if (source->transform == Transform::third_1 || source->transform == Transform::third_2) continue;
      // unet_tensors() has projections as they are stored already.
      const bool stored = part.dims.size() == 4;
      tensors.push_back({source->name, part.dtype, stored ? part.dims : untransformed(source->transform, part.dims)});
    }
  }
  return tensors;
}

ModelConfig small_model() {
  ModelConfig config = preset("small");
  config.text_encoder->vocab_size = config.text_encoder_2.vocab_size = 500;
  config.text_encoder->eos_token_id = config.text_encoder_2.eos_token_id = 499;
  // What shapes do not say is what SDXL has.
  config.unet.sample_size = 128;
  config.vae.sample_size = 1024;
  return config;
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

  TempFolder folder_;
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
  EXPECT_EQ(source.component(Component::text_encoder_2)
                .weights->get("text_model.encoder.layers.3.self_attn.v_proj.weight")
                .dims,
            (std::vector<int64_t>{256, 256}));
}

TEST_F(SingleFile, Refiner) {
  ModelConfig config = small_model();
  config.text_encoder.reset();
  config.force_zeros_for_empty_prompt = false;
  config.requires_aesthetics_score = true;
  config.unet.cross_attention_dim = 256;
  config.unet.projection_class_embeddings_input_dim = 256 + 5 * 256;
  const UnetBlock inner{256, 0, {0, 0}};
  config.unet.down.push_back(inner);
  config.unet.up.insert(config.unet.up.begin(), UnetBlock{256, 0, {0, 0, 0}});
  const ModelSource source = open(config);
  EXPECT_EQ(source.config, config);
  EXPECT_EQ(source.kind(), "SDXL refiner");
  EXPECT_FALSE(source.components[0]);
  EXPECT_EQ(source.component(Component::unet).weights->get("up_blocks.0.upsamplers.0.conv.weight").dims.size(), 4u);
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

TEST_F(SingleFile, ProjectionsAsConvolutions) {
  ModelConfig config = small_model();
  config.unet.use_linear_projection = false;
  const ModelSource source = open(config);
  EXPECT_EQ(source.config, config);
  EXPECT_EQ(source.component(Component::unet).weights->get("mid_block.attentions.0.proj_in.weight").dims.size(), 2u);
}

TEST_F(SingleFile, Inpainting) {
  ModelConfig config = small_model();
  config.unet.in_channels = 9;
  EXPECT_EQ(open(config).kind(), "SDXL inpainting");
  config.unet.in_channels = 8;
  EXPECT_THAT(problem(single_file_tensors(config)), HasSubstr("takes 8 channels"));
}

TEST_F(SingleFile, MarksOfVariants) {
  const auto v_prediction = nlohmann::json::parse(
      open(small_model(), {{"v_pred", DType::f32, {}}, {"ztsnr", DType::f32, {}}}).scheduler_config);
  EXPECT_EQ(v_prediction["prediction_type"], "v_prediction");
  EXPECT_EQ(v_prediction["rescale_betas_zero_snr"], true);
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
  EXPECT_THAT(without("first_stage_model."), HasSubstr("'decoder.conv_in.weight' in '"));
  EXPECT_THAT(without("embedders.0."), HasSubstr("is missing: the model is incomplete"));
  EXPECT_THAT(without("embedders."), HasSubstr("looks like an SDXL UNet without its text encoders"));
  EXPECT_THAT(without("input_blocks.0.0"), HasSubstr("looks like an SDXL UNet"));
  EXPECT_THAT(without("model.diffusion_model."), HasSubstr("looks like a VAE alone"));
  EXPECT_THAT(without("text_projection"), HasSubstr("has no text_projection"));
  EXPECT_THAT(without("output_blocks.7."), HasSubstr("is missing"));
  EXPECT_THAT(without("output_blocks."), HasSubstr("is missing"));
}

TEST_F(SingleFile, OtherModels) {
  const auto looks_like = [&](const char* tensor) { return problem({{tensor, DType::f32, {1}}}); };
  EXPECT_THAT(looks_like("cond_stage_model.transformer.text_model.embeddings.position_ids"),
              HasSubstr("Stable Diffusion 1)"));
  EXPECT_THAT(looks_like("cond_stage_model.model.token_embedding.weight"), HasSubstr("Stable Diffusion 2)"));
  EXPECT_THAT(looks_like("model.diffusion_model.joint_blocks.0.x_block.mlp.fc1.weight"),
              HasSubstr("Stable Diffusion 3)"));
  EXPECT_THAT(looks_like("double_blocks.0.img_attn.norm.key_norm.scale"), HasSubstr("Flux)"));
  EXPECT_THAT(looks_like("lora_unet_mid_block.lora_down.weight"), HasSubstr("a LoRA)"));
  EXPECT_THAT(looks_like("control_model.time_embed.0.weight"), HasSubstr("a ControlNet)"));
  EXPECT_THAT(looks_like("clip_g"), HasSubstr("a textual inversion embedding)"));
  EXPECT_THAT(looks_like("foo.bar"), HasSubstr("its first tensor is 'foo.bar'"));
  EXPECT_THAT(problem({}), HasSubstr("it has no tensors"));
}

TEST_F(SingleFile, VariantAndPickleAreRefused) {
  open(small_model());
  EXPECT_THROW(open_model(path_, {.variant = "fp16"}), Error);
  write_file(folder_ / "m.ckpt", "PK\x03\x04 and so on");
  EXPECT_THAT(opening(folder_ / "m.ckpt"), HasSubstr("m.ckpt' is a pickle"));
  write_file(folder_ / "m.gguf", "GGUF");
  EXPECT_THAT(opening(folder_ / "m.gguf"), HasSubstr("GGUF is not supported"));
  EXPECT_THAT(opening(folder_ / "none.safetensors"), HasSubstr("there is no model"));
}

// --- Folders made here.

nlohmann::json clip_json(const ClipConfig& clip) {
  return {{"hidden_size", clip.hidden_size},
          {"intermediate_size", clip.intermediate_size},
          {"num_hidden_layers", clip.num_hidden_layers},
          {"num_attention_heads", clip.num_attention_heads},
          {"hidden_act", clip.hidden_act == ClipActivation::gelu ? "gelu" : "quick_gelu"},
          {"projection_dim", clip.projection_dim},
          {"vocab_size", clip.vocab_size},
          {"eos_token_id", clip.eos_token_id}};
}

class Folder : public testing::Test {
 protected:
  Folder() {
    const ModelConfig config = small_model();
    write_file(root_ / "model_index.json", index_.dump());
    write_file(root_ / "scheduler/scheduler_config.json", sdxl_scheduler_config());
    write_file(root_ / "text_encoder/config.json", clip_json(*config.text_encoder).dump());
    write_file(root_ / "text_encoder_2/config.json", clip_json(config.text_encoder_2).dump());
    write_file(root_ / "unet/config.json", R"({"addition_embed_type": "text_time", "addition_time_embed_dim": 256,
      "attention_head_dim": [1, 2, 4], "block_out_channels": [64, 128, 256], "cross_attention_dim": 384,
      "down_block_types": ["DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"],
      "up_block_types": ["CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"], "use_linear_projection": true,
      "projection_class_embeddings_input_dim": 1792, "transformer_layers_per_block": [1, 1, 2], "sample_size": 128})");
    write_file(root_ / "vae/config.json", R"({"block_out_channels": [32, 64, 128, 128], "layers_per_block": 2,
      "down_block_types": ["DownEncoderBlock2D", "DownEncoderBlock2D", "DownEncoderBlock2D", "DownEncoderBlock2D"],
      "up_block_types": ["UpDecoderBlock2D", "UpDecoderBlock2D", "UpDecoderBlock2D", "UpDecoderBlock2D"],
      "sample_size": 1024, "scaling_factor": 0.13025})");
    for (const auto& [component, tensors] : model_tensors(config)) write_zeros(weights(component), tensors);
  }

  static const char* stem(Component component) {
    return component == Component::unet || component == Component::vae ? "diffusion_pytorch_model" : "model";
  }
  fs::path weights(Component component, const std::string& dot_variant = "") const {
    return root_ / name(component) / fmt::format("{}{}.safetensors", stem(component), dot_variant);
  }
  void make_variant(Component component, const std::string& dot_variant = ".fp16") const {
    fs::rename(weights(component), weights(component, dot_variant));
  }
  ModelSource open(OpenOptions options = {}) {
    warnings_.clear();
    options.log = [this](LogLevel, std::string_view text) { warnings_.emplace_back(text); };
    return open_model(root_, options);
  }
  void write_index() const { write_file(root_ / "model_index.json", index_.dump()); }

  TempFolder folder_;
  fs::path root_ = folder_ / "model";
  std::vector<std::string> warnings_;
  nlohmann::json index_ = {{"_class_name", "StableDiffusionXLPipeline"},
                           {"text_encoder", {"transformers", "CLIPTextModel"}},
                           {"text_encoder_2", {"transformers", "CLIPTextModelWithProjection"}},
                           {"image_encoder", {nullptr, nullptr}},
                           {"unet", {"diffusers", "UNet2DConditionModel"}},
                           {"vae", {"diffusers", "AutoencoderKL"}}};
};

TEST_F(Folder, Opens) {
  const ModelSource source = open();
  EXPECT_EQ(source.config, small_model());
  EXPECT_THAT(warnings_, IsEmpty());
  EXPECT_THAT(source.tokenizer.string(), IsEmpty());
  EXPECT_EQ(source.component(Component::unet).variant, "");
}

TEST_F(Folder, SymbolicLinksAsInTheHubCache) {
  fs::create_directories(folder_ / "blobs");
  for (const Component component : kAll) {
    const fs::path blob = folder_ / "blobs" / name(component);
    fs::rename(weights(component), blob);
    fs::create_symlink(fs::path("../../blobs") / name(component), weights(component));
  }
  fs::create_directory_symlink(root_, folder_ / "link");
  EXPECT_EQ(open_model(folder_ / "link").config, small_model());
}

TEST_F(Folder, Variants) {
  make_variant(Component::unet);
  EXPECT_EQ(open().component(Component::unet).variant, "fp16");
  EXPECT_THAT(warnings_, ElementsAre(AllOf(HasSubstr("the unet of"), HasSubstr("as fp16 only: using a mixture"))));
  EXPECT_EQ(open({.variant = "fp16"}).component(Component::vae).variant, "");
  EXPECT_EQ(warnings_.size(), 3u);
  EXPECT_THAT(warnings_[0], HasSubstr("the text_encoder of"));
  EXPECT_THAT(warnings_[0], HasSubstr("without the variant 'fp16' only"));
  for (const Component component : {Component::text_encoder, Component::text_encoder_2, Component::vae})
    make_variant(component);
  EXPECT_EQ(open().component(Component::text_encoder).variant, "fp16");
  EXPECT_THAT(warnings_, IsEmpty());
  EXPECT_EQ(open({.variant = "fp16"}).component(Component::text_encoder).variant, "fp16");
  EXPECT_THAT(warnings_, IsEmpty());
  // Both there: the plain one unless asked otherwise.
  fs::copy(weights(Component::unet, ".fp16"), weights(Component::unet));
  EXPECT_EQ(open().component(Component::unet).variant, "");
  EXPECT_EQ(open({.variant = "fp16"}).component(Component::unet).variant, "fp16");
}

TEST_F(Folder, VariantsThatAreNot) {
  const auto message = [&](const char* variant) -> std::string {
    try {
      open({.variant = variant});
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::invalid_argument);
      return error.what();
    }
    return "";
  };
  EXPECT_THAT(message("fp8"), HasSubstr("no component of '"));
  EXPECT_THAT(message("../x"), HasSubstr("the variant '../x' is no word"));
}

TEST_F(Folder, ShardsInEverySpelling) {
  struct Spelling {
    const char *variant, *shard, *index;
  };
  for (const Spelling& spelling : {Spelling{"", "diffusion_pytorch_model-0000{}-of-00002.safetensors",
                                            "diffusion_pytorch_model.safetensors.index.json"},
                                   Spelling{"fp16", "diffusion_pytorch_model.fp16-0000{}-of-00002.safetensors",
                                            "diffusion_pytorch_model.safetensors.index.fp16.json"},
                                   Spelling{"fp16", "diffusion_pytorch_model-0000{}-of-00002.fp16.safetensors",
                                            "diffusion_pytorch_model.safetensors.fp16.index.json"}}) {
    fs::remove_all(root_ / "unet" / "shards");
    for (const auto& entry : fs::directory_iterator(root_ / "unet")) {
      if (entry.path().filename() != "config.json") fs::remove(entry.path());
    }
    const Tensors all = unet_tensors(small_model().unet);
    const auto middle = all.begin() + static_cast<std::ptrdiff_t>(all.size() / 2);
    const std::array<Tensors, 2> shards = {Tensors(all.begin(), middle), Tensors(middle, all.end())};
    nlohmann::json map;
    for (int i = 0; i < 2; ++i) {
      const std::string shard = fmt::format(fmt::runtime(spelling.shard), i + 1);
      write_zeros(root_ / "unet" / shard, shards[i]);
      for (const TensorSpec& tensor : shards[i]) map[tensor.name] = shard;
    }
    write_file(root_ / "unet" / spelling.index,
               nlohmann::json{{"metadata", {{"total_size", 1}}}, {"weight_map", map}}.dump());
    const ModelSource source = open();
    EXPECT_EQ(source.component(Component::unet).files.size(), 2u);
    EXPECT_EQ(source.component(Component::unet).variant, spelling.variant);
    EXPECT_EQ(source.component(Component::unet).weights->names().size(), all.size());
  }
}

TEST_F(Folder, Tokenizers) {
  fs::create_directories(root_ / "tokenizer");
  fs::create_directories(root_ / "tokenizer_2");
  EXPECT_EQ(open().tokenizer_2, root_ / "tokenizer_2");
  fs::create_directories(folder_ / "vocabulary");
  const ModelSource flat = open({.tokenizer = folder_ / "vocabulary"});
  EXPECT_EQ(flat.tokenizer, folder_ / "vocabulary");
  EXPECT_EQ(flat.tokenizer_2, folder_ / "vocabulary");
  fs::create_directories(folder_ / "other/tokenizer");
  const ModelSource nested = open({.tokenizer = folder_ / "other"});
  EXPECT_EQ(nested.tokenizer, folder_ / "other/tokenizer");
  EXPECT_EQ(nested.tokenizer_2, folder_ / "other/tokenizer");
  EXPECT_THAT(opening(root_, {.tokenizer = folder_ / "absent"}), HasSubstr("is no folder: --tokenizer"));
  EXPECT_THAT(opening(root_, {.model_config = folder_ / "absent"}), HasSubstr("is no folder: --model-config"));
}

TEST_F(Folder, MissingAndDamagedFiles) {
  const fs::path unet = weights(Component::unet);
  fs::resize_file(unet, fs::file_size(unet) - 1);
  EXPECT_THAT(opening(root_),
              AllOf(HasSubstr("unet/diffusion_pytorch_model.safetensors' is truncated"), HasSubstr("get it again")));
  fs::resize_file(unet, 3);
  EXPECT_THAT(opening(root_), HasSubstr("is truncated or not a safetensors file: it has 3 bytes"));
  write_file(unet, "PK\x03\x04 and so on");
  EXPECT_THAT(opening(root_), HasSubstr("is a pickle"));
  fs::remove(unet);
  EXPECT_THAT(opening(root_),
              HasSubstr("unet/diffusion_pytorch_model.safetensors' is missing: the model is incomplete"));
  write_file(root_ / "unet/diffusion_pytorch_model.bin", "");
  EXPECT_THAT(opening(root_), HasSubstr("diffusion_pytorch_model.bin' is a pickle"));
  fs::remove(weights(Component::text_encoder));
  write_file(root_ / "text_encoder/pytorch_model.bin", "");
  EXPECT_THAT(opening(root_),
              AllOf(HasSubstr("pytorch_model.bin' is a pickle"), HasSubstr("text_encoder/model.safetensors'")));
  fs::remove(root_ / "scheduler/scheduler_config.json");
  EXPECT_THAT(opening(root_), HasSubstr("scheduler_config.json'"));
  fs::remove(root_ / "vae/config.json");
  EXPECT_THAT(opening(root_), HasSubstr("vae/config.json'"));
  fs::remove(root_ / "model_index.json");
  EXPECT_THAT(opening(root_), HasSubstr("has no model_index.json"));
  EXPECT_THAT(opening(folder_ / "nowhere"), HasSubstr("there is no model"));
  fs::create_symlink("loop", folder_ / "loop");
  EXPECT_THAT(opening(folder_ / "loop"), HasSubstr("loop"));
}

TEST_F(Folder, OtherPipelinesAndClasses) {
  const auto changed = [&](const char* key, const nlohmann::json& value) {
    const nlohmann::json before = index_;
    index_[key] = value;
    write_index();
    index_ = before;
    return opening(root_);
  };
  EXPECT_THAT(changed("_class_name", "StableDiffusionPipeline"), HasSubstr("is for a 'StableDiffusionPipeline'"));
  EXPECT_THAT(changed("text_encoder_2", {"transformers", "T5EncoderModel"}),
              HasSubstr("the text_encoder_2 is a 'T5EncoderModel'"));
  EXPECT_THAT(changed("vae", {nullptr, nullptr}), HasSubstr("names no vae"));
  EXPECT_THAT(changed("unet", 7), HasSubstr("unet is not given as a library and a class"));
  // Without its first text encoder the UNet's text width does not fit.
  EXPECT_THAT(changed("text_encoder", {nullptr, nullptr}),
              HasSubstr("(cross_attention_dim), the text encoders give 256"));
  write_file(root_ / "model_index.json", "{");
  EXPECT_THAT(opening(root_), HasSubstr("model_index.json' is not valid JSON"));
}

}  // namespace
}  // namespace tempera
