// A model is the same in every form of storage.
#include "source/model_source.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <set>

#include "models/config_writer.h"
#include "source/ldm_config.h"
#include "source/marks.h"
#include "support/small_model_folder.h"
#include "weights/safetensors.h"

namespace tempera {
namespace {
namespace fs = std::filesystem;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

constexpr std::array<std::string_view, 4> kAll = {"text_encoder", "text_encoder_2", "unet", "vae"};
const fs::path kReference = TEMPERA_REFERENCE "/dev";

OpenOptions with_configs_of(const fs::path& folder) {
  return {.model_config = folder, .tokenizer = folder};
}

// The reference model, from its folder and from the single file.
TEST(ModelSource, FolderAndSingleFileAreTheSame) {
  if (!fs::exists(kReference)) GTEST_SKIP();
  const ModelSource folder = open_model(kReference / "model");
  const ModelSource file = open_model(kReference / "model_ldm.safetensors", with_configs_of(kReference / "model"));
  EXPECT_EQ(folder.layout, ModelSource::Layout::diffusers_folder);
  EXPECT_EQ(file.layout, ModelSource::Layout::single_file);
  EXPECT_EQ(folder.config, file.config);
  EXPECT_EQ(folder.kind(), "SDXL");
  size_t tensors = 0;
  for (const std::string_view which : kAll) {
    const Checkpoint& one = *folder.component(which).weights;
    const Checkpoint& other = *file.component(which).weights;
    ASSERT_EQ(one.names(), other.names()) << which;
    for (const std::string& tensor : one.names()) {
      const CheckpointTensor a = one.get(tensor);
      const CheckpointTensor b = other.get(tensor);
      EXPECT_EQ(a.dtype, b.dtype) << tensor;
      EXPECT_EQ(a.dims, b.dims) << tensor;
      EXPECT_TRUE(stored_bytes(a) == stored_bytes(b)) << tensor;
      ++tensors;
    }
    EXPECT_EQ(folder.component(which).parameters, file.component(which).parameters);
    EXPECT_EQ(folder.component(which).bytes, file.component(which).bytes);
    EXPECT_EQ(folder.component(which).parameters_by_type.size(), 1u);
  }
  EXPECT_GT(tensors, 900u);
}

TEST(ModelSource, LdmNamesAreABijection) {
  if (!fs::exists(kReference)) GTEST_SKIP();
  const ModelSource folder = open_model(kReference / "model");
  const SafetensorsFile file(kReference / "model_ldm.safetensors");
  const LdmNames names(ldm_layout(folder.config));
  std::set<std::string> reached;
  for (const std::string_view which : kAll) {
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
  EXPECT_THAT(folder.component("unet").files,
              ElementsAre(kReference / "model" / "unet" / "diffusion_pytorch_model.safetensors"));
  // Parameters of f16, so half as many as bytes.
  EXPECT_EQ(folder.component("unet").parameters_by_type,
            (std::map<std::string_view, int64_t>{{"f16", folder.component("unet").parameters}}));
  EXPECT_EQ(folder.component("unet").bytes, 2u * folder.component("unet").parameters);
  EXPECT_GT(folder.file_bytes(), 28'000'000u);
}

// The reference's refiner shares parts with its model; linked here, since a copy of the reference may have lost its
// links.
TEST(ModelSource, ReferenceRefiner) {
  if (!fs::exists(kReference)) GTEST_SKIP();
  const TemporaryFolder folder;
  for (const char* own : {"model_index.json", "scheduler", "unet"})
    fs::create_symlink(kReference / "refiner" / own, folder / own);
  for (const char* shared : {"text_encoder_2", "tokenizer_2", "vae"}) {
    fs::create_directory_symlink(kReference / "model" / shared, folder / shared);
  }
  const ModelSource refiner = open_model(folder.path());
  EXPECT_EQ(refiner.kind(), "SDXL refiner");
  EXPECT_FALSE(refiner.config.text_encoder);
  EXPECT_EQ(refiner.find("text_encoder"), nullptr);
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
              AllOf(HasSubstr("which is no multiple of 64"), HasSubstr("model_config")));
  EXPECT_THAT(opening(kReference / "lora.safetensors"), HasSubstr("is not an SDXL checkpoint (looks like a LoRA)"));
  EXPECT_THAT(opening(kReference / "model" / "vae" / "diffusion_pytorch_model.safetensors"),
              HasSubstr("(looks like a VAE): give it as vae, and a checkpoint as model"));
  EXPECT_THAT(opening(kReference / "model" / "text_encoder" / "model.safetensors"),
              HasSubstr("looks like a text encoder): use a checkpoint"));
}

TEST_F(SmallModelFolder, Opens) {
  const ModelSource source = open();
  EXPECT_EQ(source.config.text_encoder, small_model().text_encoder);
  EXPECT_EQ(source.config.text_encoder_2, small_model().text_encoder_2);
  EXPECT_EQ(source.config.unet, small_model().unet);
  EXPECT_EQ(source.config.vae, small_model().vae);
  EXPECT_EQ(source.config, small_model());
  EXPECT_THAT(warnings_, IsEmpty());
  EXPECT_THAT(source.tokenizer.string(), IsEmpty());
  EXPECT_EQ(source.component("unet").variant, "");
}

TEST_F(SmallModelFolder, SymbolicLinksAsInTheHubCache) {
  fs::create_directories(folder_ / "blobs");
  for (const std::string_view component : kAll) {
    const fs::path blob = folder_ / "blobs" / component;
    fs::rename(weights(component), blob);
    fs::create_symlink(fs::path("../../blobs") / component, weights(component));
  }
  fs::create_directory_symlink(root_, folder_ / "link");
  EXPECT_EQ(open_model(folder_ / "link").config, small_model());
}

TEST_F(SmallModelFolder, MarksOfTheUnet) {
  const nlohmann::json before = nlohmann::json::parse(open().scheduler_config);
  Tensors tensors = tensors_of(small_model().unet);
  tensors.push_back({"v_pred", DType::f32, {}});
  write_zeros(weights("unet"), tensors);
  nlohmann::json after = nlohmann::json::parse(open().scheduler_config);
  EXPECT_EQ(after["prediction_type"], "v_prediction");
  EXPECT_THAT(warnings_, ElementsAre(HasSubstr("is marked for v prediction, which is used")));
  after["prediction_type"] = "epsilon";
  EXPECT_EQ(after, before);
}

// The scale of the latents belongs to the model, if the replacing file has no configuration; their mean always does.
TEST_F(SmallModelFolder, ReplacingVaeHasTheLatentsOfTheModel) {
  ModelConfig model = small_model();
  model.vae.latents_mean = model.vae.latents_std = {1, 2, 3, 4};
  model.vae.scaling_factor = 0.5;
  write_file(root_ / "vae/config.json", to_json(model.vae));
  write_zeros(folder_ / "vae.safetensors", tensors_of(model.vae));
  EXPECT_EQ(open({.vae = folder_ / "vae.safetensors"}).config, model);
  write_zeros(folder_ / "other/diffusion_pytorch_model.safetensors", tensors_of(model.vae));
  write_file(folder_ / "other/config.json", to_json(small_model().vae));
  EXPECT_EQ(open({.vae = folder_ / "other"}).config, model);
  model.vae.latents_mean = model.vae.latents_std = {};
  write_file(root_ / "vae/config.json", to_json(model.vae));
  EXPECT_EQ(open({.vae = folder_ / "other"}).config, small_model());
  write_file(root_ / "vae/config.json", "{");
  EXPECT_EQ(open({.vae = folder_ / "vae.safetensors"}).config, small_model());
}

TEST_F(SmallModelFolder, Tokenizers) {
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
  EXPECT_THAT(opening(root_, {.tokenizer = folder_ / "absent"}), HasSubstr("is no folder: give tokenizer one"));
  EXPECT_THAT(opening(root_, {.model_config = folder_ / "absent"}), HasSubstr("is no folder: give model_config one"));
}

TEST_F(SmallModelFolder, DefaultsOfRequests) {
  EXPECT_EQ(open().defaults.num_inference_steps, 50);
  EXPECT_EQ(open().defaults.guidance_scale, 5.0);
  write_file(root_ / "defaults.json", R"({"num_inference_steps": 20})");
  EXPECT_EQ(open().defaults.num_inference_steps, 20);
  EXPECT_EQ(open().defaults.guidance_scale, 5.0);
  write_file(root_ / "defaults.json", R"({"guidance_scale": 3})");
  EXPECT_EQ(open().defaults.guidance_scale, 3.0);
  write_file(root_ / "defaults.json", R"({"guidance_scale": -1})");
  EXPECT_THAT(opening(root_), AllOf(HasSubstr("defaults.json'"), HasSubstr("guidance_scale is -1")));
  write_file(root_ / "defaults.json", R"({"num_inference_steps": 0})");
  EXPECT_THAT(opening(root_), AllOf(HasSubstr("defaults.json'"), HasSubstr("num_inference_steps")));
}

TEST_F(SmallModelFolder, ConfigsWithoutIndexForASingleFile) {
  fs::remove(root_ / "model_index.json");
  const fs::path file = folder_ / "model.safetensors";
  write_zeros(file, single_file_tensors(small_model()));
  EXPECT_EQ(open_model(file, {.model_config = root_}).config, small_model());
  fs::remove(root_ / "text_encoder/config.json");
  EXPECT_THAT(opening(file, {.model_config = root_}), HasSubstr("text_encoder/config.json'"));
}

}  // namespace
}  // namespace tempera
