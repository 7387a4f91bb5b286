// A model is the same in every form of storage. Other files, and incomplete models, are refused in one sentence.
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
#include "source/test_models.h"
#include "source/vae_file.h"
#include "support/test_files.h"
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

std::string opening(const fs::path& model, const OpenOptions& options = {}) {
  return bad_file_message([&] { open_model(model, options); });
}

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

// Folders made here.
class Folder : public testing::Test {
 protected:
  Folder() {
    const ModelConfig config = small_model();
    write_file(root_ / "model_index.json", index_.dump());
    write_file(root_ / "scheduler/scheduler_config.json", sdxl_scheduler_config());
    write_file(root_ / "text_encoder/config.json", to_json(*config.text_encoder));
    write_file(root_ / "text_encoder_2/config.json", to_json(config.text_encoder_2));
    write_file(root_ / "unet/config.json", to_json(config.unet));
    write_file(root_ / "vae/config.json", to_json(config.vae));
    for (const auto& [component, tensors] : model_tensors(config)) write_zeros(weights(component), tensors);
  }

  static const char* stem(std::string_view component) {
    return component == "unet" || component == "vae" ? "diffusion_pytorch_model" : "model";
  }
  fs::path weights(std::string_view component, const std::string& dot_variant = "") const {
    return root_ / component / fmt::format("{}{}.safetensors", stem(component), dot_variant);
  }
  void make_variant(std::string_view component, const std::string& dot_variant = ".fp16") const {
    fs::rename(weights(component), weights(component, dot_variant));
  }
  ModelSource open(OpenOptions options = {}) {
    warnings_.clear();
    options.log = [this](LogLevel, std::string_view text) { warnings_.emplace_back(text); };
    return open_model(root_, options);
  }
  void write_index() const { write_file(root_ / "model_index.json", index_.dump()); }

  TemporaryFolder folder_;
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
  EXPECT_EQ(source.config.text_encoder, small_model().text_encoder);
  EXPECT_EQ(source.config.text_encoder_2, small_model().text_encoder_2);
  EXPECT_EQ(source.config.unet, small_model().unet);
  EXPECT_EQ(source.config.vae, small_model().vae);
  EXPECT_EQ(source.config, small_model());
  EXPECT_THAT(warnings_, IsEmpty());
  EXPECT_THAT(source.tokenizer.string(), IsEmpty());
  EXPECT_EQ(source.component("unet").variant, "");
}

TEST_F(Folder, SymbolicLinksAsInTheHubCache) {
  fs::create_directories(folder_ / "blobs");
  for (const std::string_view component : kAll) {
    const fs::path blob = folder_ / "blobs" / component;
    fs::rename(weights(component), blob);
    fs::create_symlink(fs::path("../../blobs") / component, weights(component));
  }
  fs::create_directory_symlink(root_, folder_ / "link");
  EXPECT_EQ(open_model(folder_ / "link").config, small_model());
}

TEST_F(Folder, MarksOfTheUnet) {
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

TEST_F(Folder, WithoutVae) {
  write_zeros(folder_ / "vae.safetensors", tensors_of(small_model().vae));
  const auto expect_none = [&](const char* message) {
    const ModelSource source = open();
    EXPECT_EQ(source.find("vae"), nullptr);
    EXPECT_THAT(bad_file_message([&] { require_vae(source); }), HasSubstr(message));
    const ModelSource replaced = open({.vae = folder_ / "vae.safetensors"});
    EXPECT_NO_THROW(require_vae(replaced));
    EXPECT_EQ(replaced.config, small_model());
  };
  fs::remove(weights("vae"));
  expect_none("is missing: the model is incomplete");
  write_file(root_ / "vae/diffusion_pytorch_model.bin", "PK\x03\x04");
  expect_none("is a pickle");
  fs::remove_all(root_ / "vae");
  expect_none("has no VAE: give vae one for SDXL");
  index_["vae"] = {nullptr, nullptr};
  write_index();
  expect_none("has no VAE: give vae one for SDXL");
  index_["vae"] = {"diffusers", "ConsistencyDecoderVAE"};
  write_index();
  EXPECT_THAT(opening(root_), HasSubstr("only AutoencoderKL is"));
  EXPECT_EQ(open({.vae = folder_ / "vae.safetensors"}).config, small_model());
}

// The scale of the latents belongs to the model, if the replacing file has no configuration; their mean always does.
TEST_F(Folder, ReplacingVaeHasTheLatentsOfTheModel) {
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

TEST_F(Folder, Variants) {
  make_variant("unet");
  EXPECT_EQ(open().component("unet").variant, "fp16");
  EXPECT_THAT(warnings_, ElementsAre(HasSubstr("has its unet as fp16 only: using a mixture")));
  EXPECT_EQ(open({.variant = "fp16"}).component("vae").variant, "");
  EXPECT_THAT(warnings_,
              ElementsAre(HasSubstr("has its text_encoder, text_encoder_2, vae without the variant 'fp16' only")));
  for (const char* component : {"text_encoder", "text_encoder_2", "vae"}) make_variant(component);
  EXPECT_EQ(open().component("text_encoder").variant, "fp16");
  EXPECT_THAT(warnings_, IsEmpty());
  EXPECT_EQ(open({.variant = "fp16"}).component("text_encoder").variant, "fp16");
  EXPECT_THAT(warnings_, IsEmpty());
  // With both, the plain one is used unless a variant is requested.
  fs::copy(weights("unet", ".fp16"), weights("unet"));
  EXPECT_EQ(open().component("unet").variant, "");
  EXPECT_EQ(open({.variant = "fp16"}).component("unet").variant, "fp16");
}

// Whoever has embeddings needs no text encoder: only their configs must be there.
TEST_F(Folder, TextEncodersLater) {
  OpenOptions later;
  later.text_encoders = false;
  make_variant("text_encoder_2");
  ModelSource source = open(later);
  EXPECT_EQ(source.config, small_model());
  EXPECT_EQ(source.find("text_encoder"), nullptr);
  EXPECT_EQ(source.find("text_encoder_2"), nullptr);
  EXPECT_THROW(source.component("text_encoder"), Error);
  EXPECT_EQ(warnings_.size(), 1u);  // a mixture is seen without opening
  open_text_encoders(source, later);
  const ModelSource whole = open();
  for (const char* component : {"text_encoder", "text_encoder_2"}) {
    EXPECT_EQ(source.component(component).parameters, whole.component(component).parameters);
    EXPECT_EQ(source.component(component).files, whole.component(component).files);
    EXPECT_EQ(source.component(component).variant, whole.component(component).variant);
  }
  open_text_encoders(source, later);  // a second time changes nothing
  EXPECT_EQ(source.file_bytes(), whole.file_bytes());

  fs::remove(weights("text_encoder"));
  ModelSource without = open(later);
  EXPECT_THAT(bad_file_message([&] { open_text_encoders(without, later); }),
              AllOf(HasSubstr("text_encoder/model.safetensors"), HasSubstr("is missing")));
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
    const Tensors all = model_tensors(small_model())[2].second;
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
    EXPECT_EQ(source.component("unet").files.size(), 2u);
    EXPECT_EQ(source.component("unet").variant, spelling.variant);
    EXPECT_EQ(source.component("unet").weights->names().size(), all.size());
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
  EXPECT_THAT(opening(root_, {.tokenizer = folder_ / "absent"}), HasSubstr("is no folder: give tokenizer one"));
  EXPECT_THAT(opening(root_, {.model_config = folder_ / "absent"}), HasSubstr("is no folder: give model_config one"));
}

TEST_F(Folder, DefaultsOfRequests) {
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

TEST_F(Folder, ConfigsWithoutIndexForASingleFile) {
  fs::remove(root_ / "model_index.json");
  const fs::path file = folder_ / "model.safetensors";
  write_zeros(file, single_file_tensors(small_model()));
  EXPECT_EQ(open_model(file, {.model_config = root_}).config, small_model());
  fs::remove(root_ / "text_encoder/config.json");
  EXPECT_THAT(opening(file, {.model_config = root_}), HasSubstr("text_encoder/config.json'"));
}

TEST_F(Folder, MissingAndDamagedFiles) {
  const fs::path unet = weights("unet");
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
  fs::remove(weights("text_encoder"));
  write_file(root_ / "text_encoder/pytorch_model.bin", "");
  EXPECT_THAT(opening(root_),
              AllOf(HasSubstr("pytorch_model.bin' is a pickle"), HasSubstr("text_encoder/model.safetensors'")));
  fs::remove(root_ / "vae/config.json");
  EXPECT_THAT(opening(root_), HasSubstr("vae/config.json'"));
  fs::remove(root_ / "model_index.json");
  EXPECT_THAT(opening(root_), HasSubstr("has no model_index.json"));
  EXPECT_THAT(opening(folder_ / "nowhere"), HasSubstr("there is no model"));
  fs::create_symlink("loop", folder_ / "loop");
  EXPECT_THAT(opening(folder_ / "loop"), HasSubstr("loop"));
}

TEST_F(Folder, WeightsUnderOtherNames) {
  const fs::path unet = weights("unet");
  fs::rename(unet, root_ / "unet/diffusion_pytorch_model.fp32.safetensors");
  EXPECT_THAT(opening(root_), AllOf(HasSubstr("unet/diffusion_pytorch_model.safetensors' is missing, but"),
                                    HasSubstr("give the variant 'fp32'")));
  fs::rename(root_ / "unet/diffusion_pytorch_model.fp32.safetensors",
             root_ / "unet/diffusion_pytorch_model-00001-of-00002.safetensors");
  EXPECT_THAT(opening(root_), AllOf(HasSubstr("diffusion_pytorch_model.safetensors.index.json' is missing"),
                                    HasSubstr("diffusion_pytorch_model-00001-of-00002.safetensors")));
}

TEST_F(Folder, DownloadsThatFailed) {
  const fs::path unet = weights("unet");
  write_file(unet, "<!DOCTYPE html><html><head><title>Log in</title></head></html>");
  EXPECT_THAT(opening(root_),
              AllOf(HasSubstr("unet/diffusion_pytorch_model.safetensors' is a web page"), HasSubstr("login")));
  write_file(unet, "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n");
  EXPECT_THAT(opening(root_), HasSubstr("is a Git LFS pointer"));
  write_file(unet, "PK\x03\x04 and so on");
  EXPECT_THAT(opening(root_),
              AllOf(HasSubstr("is a pickle under the name of a safetensors file"), HasSubstr("convert")));
  write_file(root_ / "unet/config.json", "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n");
  EXPECT_THAT(opening(root_), HasSubstr("unet/config.json' is a Git LFS pointer"));
  write_file(root_ / "model_index.json", "<html>");
  EXPECT_THAT(opening(root_), HasSubstr("model_index.json' is a web page"));
}

TEST_F(Folder, OpensWithoutASampler) {
  fs::remove(root_ / "scheduler/scheduler_config.json");
  const ModelSource source = open_model(root_, {});
  EXPECT_EQ(source.scheduler_config, "");
  EXPECT_THAT(source.scheduler_origin, HasSubstr("scheduler/scheduler_config.json"));
}

TEST_F(Folder, OpensWithoutTextEncodersIfTheyAreNotNeeded) {
  const ModelConfig config = open_model(root_, {}).config;
  const auto check = [&](std::vector<std::string> absent) {
    ModelSource source = open_model(root_, {.text_encoders = false});
    EXPECT_EQ(source.absent_text_encoders, absent);
    EXPECT_EQ(source.config.text_encoder->hidden_size, config.text_encoder->hidden_size);
    EXPECT_EQ(source.config.text_encoder_2.hidden_size, config.text_encoder_2.hidden_size);
    EXPECT_EQ(source.config.text_encoder_2.projection_dim, config.text_encoder_2.projection_dim);
    EXPECT_EQ(source.config.unet, config.unet);
    try {
      open_text_encoders(source, {.text_encoders = false});
      ADD_FAILURE() << "opened";
    } catch (const Error& error) {
      EXPECT_THAT(error.what(), AllOf(HasSubstr("was saved without its " + absent[0]), HasSubstr("prompt_embeds")));
    }
    EXPECT_NE(opening(root_), "");
  };
  fs::rename(root_ / "text_encoder_2", root_ / "away");
  check({"text_encoder_2"});
  fs::rename(root_ / "away", root_ / "text_encoder_2");
  index_["text_encoder"] = {nullptr, nullptr};
  write_index();
  check({"text_encoder"});
  index_["text_encoder_2"] = nullptr;
  write_index();
  check({"text_encoder", "text_encoder_2"});
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
  EXPECT_THAT(changed("unet", {nullptr, nullptr}), HasSubstr("names no unet"));
  EXPECT_THAT(changed("unet", 7), HasSubstr("unet is not given as a library and a class"));
  // Without its first text encoder the UNet's text width does not fit.
  EXPECT_THAT(changed("text_encoder", {nullptr, nullptr}),
              HasSubstr("(cross_attention_dim), the text encoders give 64"));
  write_file(root_ / "model_index.json", "{");
  EXPECT_THAT(opening(root_), HasSubstr("model_index.json' is not valid JSON"));
}

}  // namespace
}  // namespace tempera
