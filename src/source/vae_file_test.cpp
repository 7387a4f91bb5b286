// An autoencoder in the place of a model's own: in every form of file, and for models without one.
#include "source/vae_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "models/config_writer.h"
#include "source/model_source.h"
#include "source/test_models.h"
#include "support/test_files.h"

namespace tempera {
namespace {
namespace fs = std::filesystem;
using testing::HasSubstr;

class VaeFile : public testing::Test {
 protected:
  VaeFile() { config_.block_out_channels = {32, 64, 64}; }

  // The tensors of `config_` under original names, which `spell` can change.
  Tensors original(const std::function<std::string(std::string)>& spell) const {
    ModelConfig model = small_model();
    model.vae = config_;
    Tensors tensors;
    for (TensorSpec tensor : single_file_tensors(model)) {
      if (!tensor.name.starts_with("first_stage_model.")) continue;
      tensor.name = spell(tensor.name);
      tensors.push_back(std::move(tensor));
    }
    return tensors;
  }
  static std::string bare(const std::string& name) {
    return name.substr(std::string_view("first_stage_model.").size());
  }
  void write_folder(const fs::path& folder) const {
    write_zeros(folder / "diffusion_pytorch_model.safetensors", tensors_of(config_));
    write_file(folder / "config.json", to_json(config_));
  }
  VaeConfig opened(const fs::path& where) const {
    ReplacingVae vae = open_vae(where);
    EXPECT_TRUE(vae.vae.component.weights->find("decoder.mid_block.attentions.0.to_out.0.weight"));
    EXPECT_EQ(vae.vae.component.weights->get("decoder.mid_block.attentions.0.to_q.weight").dims.size(), 2u);
    return std::get<VaeConfig>(vae.vae.config);
  }
  void write_model(const std::string& without) const {
    Tensors tensors = single_file_tensors(small_model());
    std::erase_if(tensors, [&](const TensorSpec& tensor) { return tensor.name.starts_with(without); });
    write_zeros(model_, tensors);
  }

  TemporaryFolder folder_;
  fs::path file_ = folder_ / "vae.safetensors", model_ = folder_ / "model.safetensors";
  VaeConfig config_ = small_model().vae;
};

TEST_F(VaeFile, InEverySpelling) {
  const std::vector<std::pair<const char*, std::function<std::string(std::string)>>> spellings = {
      {"checkpoint", [](std::string name) { return name; }},
      {"alone", bare},
      {"vae.", [](const std::string& name) { return "vae." + bare(name); }},
      {"converted from old diffusers",
       [](const std::string& name) {
         std::string changed = bare(name);
         for (const auto& [own, other] : {std::pair{".attn_1.q.", ".attn_1.query."},
                                          {".attn_1.k.", ".attn_1.key."},
                                          {".attn_1.v.", ".attn_1.value."},
                                          {".attn_1.proj_out.", ".attn_1.proj_attn."}})
           if (const size_t at = changed.find(own); at != std::string::npos)
             changed.replace(at, std::string_view(own).size(), other);
         return changed;
       }},
      {"converted from diffusers",
       [](const std::string& name) {
         std::string changed = bare(name);
         for (const auto& [own, other] : {std::pair{".attn_1.q.", ".attn_1.to_q."},
                                          {".attn_1.k.", ".attn_1.to_k."},
                                          {".attn_1.v.", ".attn_1.to_v."},
                                          {".attn_1.proj_out.", ".attn_1.to_out.0."},
                                          {".attn_1.norm.", ".attn_1.group_norm."}})
           if (const size_t at = changed.find(own); at != std::string::npos)
             changed.replace(at, std::string_view(own).size(), other);
         return changed;
       }},
  };
  for (const auto& [name, spell] : spellings) {
    SCOPED_TRACE(name);
    write_zeros(file_, original(spell));
    EXPECT_EQ(opened(file_), config_);
  }
  write_zeros(file_, tensors_of(config_));
  EXPECT_EQ(opened(file_), config_);
}

TEST_F(VaeFile, FolderAndFileInIt) {
  config_.scaling_factor = 0.5;
  config_.latents_mean = config_.latents_std = {1, 2, 3, 4};
  write_folder(folder_ / "vae");
  EXPECT_EQ(opened(folder_ / "vae"), config_);
  EXPECT_EQ(opened(folder_ / "vae" / "diffusion_pytorch_model.safetensors"), config_);
  EXPECT_EQ(opened(folder_.path()), config_);  // a model's folder
}

TEST_F(VaeFile, WithoutOneTheModelOpensAndPicturesNeedOne) {
  write_model("first_stage_model.");
  const ModelSource source = open_model(model_);
  EXPECT_EQ(source.find("vae"), nullptr);
  EXPECT_THAT(bad_file_message([&] { require_vae(source); }), HasSubstr("has no VAE: give vae one for SDXL"));
  write_zeros(file_, original(bare));
  const ModelSource replaced = open_model(model_, {.vae = file_});
  EXPECT_NO_THROW(require_vae(replaced));
  EXPECT_EQ(replaced.config.vae, config_);
  EXPECT_EQ(replaced.component("vae").files, std::vector<fs::path>{file_});
}

TEST_F(VaeFile, ReplacesOneThatIsBroken) {
  Tensors tensors = single_file_tensors(small_model());
  std::erase_if(tensors,
                [](const TensorSpec& tensor) { return tensor.name == "first_stage_model.decoder.conv_out.weight"; });
  write_zeros(model_, tensors);
  EXPECT_THAT(bad_file_message([&] { open_model(model_); }), HasSubstr("decoder.conv_out.weight' in '"));
  write_folder(folder_ / "vae");
  EXPECT_EQ(open_model(model_, {.vae = folder_ / "vae"}).config.vae, config_);
}

TEST_F(VaeFile, OfAFileHasTheLatentsOfTheModel) {
  const VaeConfig own = [] {
    VaeConfig vae;
    vae.scaling_factor = 0.5;
    vae.latents_mean = vae.latents_std = {1, 2, 3, 4};
    return vae;
  }();
  const VaeConfig changed = with_latents_of(config_, own);
  EXPECT_EQ(changed.scaling_factor, 0.5);
  EXPECT_EQ(changed.latents_std, own.latents_std);
  EXPECT_EQ(changed.block_out_channels, config_.block_out_channels);
}

TEST_F(VaeFile, OtherFilesAreRefusedWithTheirKind) {
  const auto problem = [&](const Tensors& tensors) {
    write_zeros(file_, tensors);
    return bad_file_message([&] { open_vae(file_); });
  };
  EXPECT_THAT(problem({{"clip_g", DType::f32, {1}}}),
              HasSubstr("has no VAE (looks like a textual inversion embedding"));
  EXPECT_THAT(problem(tensors_of(tiny_vae_preset("tiny"))), HasSubstr("is a tiny autoencoder: give it as tiny_vae"));
  Tensors cut = tensors_of(config_);
  std::erase_if(cut, [](const TensorSpec& tensor) { return tensor.name == "decoder.conv_norm_out.bias"; });
  EXPECT_THAT(problem(cut), HasSubstr("has no tensor decoder.conv_norm_out.bias: give vae"));
  // A resnet that is missing whole is not taken for an autoencoder with fewer.
  for (const char* resnet : {"decoder.up_blocks.0.resnets.2.", "decoder.up_blocks.2.resnets.1."}) {
    Tensors fewer = tensors_of(config_);
    std::erase_if(fewer, [&](const TensorSpec& tensor) { return tensor.name.starts_with(resnet); });
    EXPECT_THAT(problem(fewer), HasSubstr(std::string("has no tensor ") + resnet));
  }
  Tensors wrong = tensors_of(config_);
  for (TensorSpec& tensor : wrong)
    if (tensor.name == "decoder.conv_norm_out.bias") tensor.dims = {31};
  EXPECT_THAT(problem(wrong), HasSubstr("is 31, expected 32"));
  EXPECT_THAT(bad_file_message([&] { open_vae(folder_ / "none"); }), HasSubstr("there is no VAE"));
}

}  // namespace
}  // namespace tempera
