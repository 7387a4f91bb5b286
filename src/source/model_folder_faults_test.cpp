// Folders without some of their parts, in variants or in shards. What is missing, damaged or of another kind is refused
// in one sentence, unless the request does not need it.
#include <gmock/gmock.h>

#include <array>

#include "source/vae_file.h"
#include "support/small_model_folder.h"

namespace tempera {
namespace {
namespace fs = std::filesystem;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

TEST_F(SmallModelFolder, WithoutVae) {
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

TEST_F(SmallModelFolder, Variants) {
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

// With embeddings no text encoder is needed: only their configs must be there.
TEST_F(SmallModelFolder, TextEncodersLater) {
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

TEST_F(SmallModelFolder, VariantsThatAreNot) {
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

TEST_F(SmallModelFolder, ShardsInEverySpelling) {
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

TEST_F(SmallModelFolder, MissingAndDamagedFiles) {
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

TEST_F(SmallModelFolder, WeightsUnderOtherNames) {
  const fs::path unet = weights("unet");
  fs::rename(unet, root_ / "unet/diffusion_pytorch_model.fp32.safetensors");
  EXPECT_THAT(opening(root_), AllOf(HasSubstr("unet/diffusion_pytorch_model.safetensors' is missing, but"),
                                    HasSubstr("give the variant 'fp32'")));
  fs::rename(root_ / "unet/diffusion_pytorch_model.fp32.safetensors",
             root_ / "unet/diffusion_pytorch_model-00001-of-00002.safetensors");
  EXPECT_THAT(opening(root_), AllOf(HasSubstr("diffusion_pytorch_model.safetensors.index.json' is missing"),
                                    HasSubstr("diffusion_pytorch_model-00001-of-00002.safetensors")));
}

TEST_F(SmallModelFolder, DownloadsThatFailed) {
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

TEST_F(SmallModelFolder, OpensWithoutASampler) {
  fs::remove(root_ / "scheduler/scheduler_config.json");
  const ModelSource source = open_model(root_, {});
  EXPECT_EQ(source.scheduler_config, "");
  EXPECT_THAT(source.scheduler_origin, HasSubstr("scheduler/scheduler_config.json"));
}

TEST_F(SmallModelFolder, OpensWithoutTextEncodersIfTheyAreNotNeeded) {
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

TEST_F(SmallModelFolder, OtherPipelinesAndClasses) {
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
