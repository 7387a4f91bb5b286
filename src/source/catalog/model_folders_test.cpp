// Trees of A1111 and ComfyUI, and extra_model_paths.yaml: every file is found, named and classified.
#include "source/catalog/model_folders.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>

#include "base/error.h"
#include "source/catalog/contents.h"
#include "source/catalog/import_paths.h"
#include "source/catalog/scan.h"
#include "source/catalog/test_trees.h"
#include "support/files.h"

namespace tempera {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

class Trees : public testing::Test {
 protected:
  Trees() {
    for (const char* variable : {"XDG_CONFIG_HOME", "XDG_DATA_HOME", "TEMPERA_MODELS"}) unsetenv(variable);
    setenv("HOME", (folder_ / "home").c_str(), 1);
  }
  ~Trees() override { unsetenv("TEMPERA_MODELS"); }

  // "<folder's kind>/<name>: <what it is>" for every model.
  static std::vector<std::string> listed(const ModelFolders& folders) {
    std::vector<std::string> lines;
    for (const FoundModel& model : find_models(folders)) {
      const ModelContents contents = read_contents(model);
      const std::string what = contents.problem.empty() ? describe(contents.type) : contents.problem;
      lines.push_back(model.holds + ":" + model.name + ": " + what);
    }
    return lines;
  }
  std::vector<std::string> listed(const fs::path& dir) const { return listed(model_folders({.models_dir = {dir}})); }

  static std::string refusal(const EngineOptions& options) {
    try {
      model_folders(options);
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::bad_file);
      return error.what();
    }
    return "accepted";
  }

  TemporaryFolder folder_;
};

TEST_F(Trees, OfA1111) {
  const fs::path root = folder_ / "webui";
  write_checkpoint(root / "models/Stable-diffusion/sub/base.safetensors");
  write_file(root / "models/Stable-diffusion/old.ckpt", "PK");
  write_file(root / "models/Stable-diffusion/base.txt", "a note");
  write_vae(root / "models/Stable-diffusion/base.vae.safetensors");
  write_vae(root / "models/VAE/fixed.SAFETENSORS");
  write_tiny_vae(root / "models/VAE-taesd/taesdxl.safetensors");
  write_lora(root / "models/Lora/style.safetensors");
  write_lora(root / "models/LyCORIS/other.safetensors");
  write_controlnet(root / "models/ControlNet/canny.safetensors");
  write_embedding(root / "embeddings/word.safetensors");
  write_checkpoint(root / "models/Lora/lost.safetensors");  // in the wrong folder
  write_checkpoint(root / "models/mine/base.safetensors");  // in no folder of the tree
  write_file(root / "venv/lib/x.safetensors", "not scanned");
  write_file(root / "models/Stable-diffusion/.git/x.safetensors", "not scanned");
  const std::vector<std::string> all = {
      "controlnet:canny.safetensors: a ControlNet for SDXL",
      "loras:lost.safetensors: an SDXL checkpoint",
      "loras:style.safetensors: a LoRA for SDXL",
      "loras:other.safetensors: a LoRA for SDXL",
      "checkpoints:base.vae.safetensors: a VAE",
      "checkpoints:old.ckpt: a pickle, not opened: convert it to safetensors",
      "checkpoints:sub/base.safetensors: an SDXL checkpoint",
      "vae:fixed.SAFETENSORS: a VAE",
      "vae_approx:taesdxl.safetensors: a tiny autoencoder",
  };
  std::vector<std::string> of_root = all, of_models = all;
  of_root.emplace_back("embeddings:word.safetensors: a textual inversion embedding for SDXL");
  of_root.emplace_back(":mine/base.safetensors: an SDXL checkpoint");
  of_models.emplace_back(":mine/base.safetensors: an SDXL checkpoint");
  EXPECT_EQ(listed(root), of_root);
  EXPECT_EQ(listed(root / "models"), of_models);
}

TEST_F(Trees, OfComfyUi) {
  const fs::path root = folder_ / "ComfyUI", other = folder_ / "other";
  write_checkpoint(root / "models/checkpoints/base.safetensors");
  write_unet(root / "models/unet/lightning.sft");
  write_unet(root / "models/diffusion_models/dmd.safetensors");
  write_vae(root / "models/vae/fixed.safetensors");
  write_tiny_vae(root / "models/vae_approx/taesdxl.safetensors");
  write_lora(root / "models/loras/style.safetensors");
  write_file(root / "models/loras/config.json", "{}");  // of nothing
  write_embedding(root / "models/embeddings/word.safetensors");
  write_checkpoint(other / "here/base2.safetensors");
  write_lora(other / "l1/a.safetensors");
  write_lora(other / "l2/b.safetensors");
  write_file(root / "extra_model_paths.yaml",
             "a111:\n  base_path: ../other\n  checkpoints: here\n  loras: |\n    l1\n"
             "    l2\n  vae: not_there\n  custom_nodes: here\n");
  EXPECT_THAT(listed(root),
              ElementsAre("checkpoints:base.safetensors: an SDXL checkpoint",
                          "diffusion_models:dmd.safetensors: an SDXL UNet without its other parts",
                          "embeddings:word.safetensors: a textual inversion embedding for SDXL",
                          "loras:style.safetensors: a LoRA for SDXL",
                          "diffusion_models:lightning.sft: an SDXL UNet without its other parts",
                          "vae:fixed.safetensors: a VAE", "vae_approx:taesdxl.safetensors: a tiny autoencoder",
                          "checkpoints:base2.safetensors: an SDXL checkpoint", "loras:a.safetensors: a LoRA for SDXL",
                          "loras:b.safetensors: a LoRA for SDXL"));
}

TEST_F(Trees, PlainFoldersWithDiffusersModels) {
  const fs::path root = folder_ / "plain";
  write_file(root / "sdxl/model_index.json", R"({"_class_name": "StableDiffusionXLPipeline"})");
  write_file(root / "sdxl/scheduler/scheduler_config.json", R"({"prediction_type": "v_prediction"})");
  write_zeros(
      root / "sdxl/unet/diffusion_pytorch_model.fp16.safetensors",
      {{"add_embedding.linear_1.weight", DType::f16, {1}}, {"time_embedding.linear_1.weight", DType::f16, {4, 4}}});
  write_file(root / "fix/config.json", "{}");
  write_vae(root / "fix/diffusion_pytorch_model.safetensors");
  write_vae(root / "fix/single.safetensors");
  write_file(root / "broken.safetensors", "xxxx");
  const std::vector<std::string> lines = listed(root);
  ASSERT_EQ(lines.size(), 4u);
  EXPECT_THAT(lines[0], testing::StartsWith(":broken.safetensors: '"));
  EXPECT_EQ(lines[1], ":fix: a VAE");
  EXPECT_EQ(lines[2], ":fix/single.safetensors: a VAE");
  EXPECT_EQ(lines[3], ":sdxl: an SDXL checkpoint");
  const ModelContents sdxl = read_contents(find_models(model_folders({.models_dir = {root / "sdxl"}})).at(0));
  EXPECT_EQ(sdxl.type.prediction, "v_prediction");
  EXPECT_THAT(sdxl.dtypes, ElementsAre("f16"));
  EXPECT_GT(sdxl.bytes, 100u);
}

TEST_F(Trees, LinksAreFollowedButNotInCircles) {
  write_checkpoint(folder_ / "disk/a.safetensors");
  fs::create_directories(folder_ / "models/checkpoints");
  fs::create_directory_symlink(folder_ / "disk", folder_ / "models/checkpoints/disk");
  fs::create_directory_symlink(folder_ / "models", folder_ / "models/checkpoints/again");
  fs::create_symlink(folder_ / "nowhere", folder_ / "models/checkpoints/dangling.safetensors");
  EXPECT_THAT(listed(folder_ / "models"), ElementsAre("checkpoints:disk/a.safetensors: an SDXL checkpoint"));
}

TEST_F(Trees, AreNamedInSeveralPlaces) {
  for (const char* name : {"option", "variable", "variable2", "config", "home/.local/share/tempera/models"})
    write_checkpoint(folder_ / name / "x.safetensors");
  write_checkpoint(folder_ / "imported/c/x.safetensors");
  write_file(folder_ / "paths.yaml", "x:\n  base_path: " + (folder_ / "imported").string() + "\n  checkpoints: c\n");
  write_file(folder_ / "home/.config/tempera/config.json", R"({"models_dir": ["~/../config"]})");
  setenv("TEMPERA_MODELS", ((folder_ / "variable").string() + "::" + (folder_ / "variable2").string()).c_str(), 1);
  std::vector<std::string> folders;
  for (const ModelFolder& folder :
       model_folders({.models_dir = {folder_ / "option"}, .import_paths = {folder_ / "paths.yaml"}}).folders)
    folders.push_back(fs::canonical(folder.path).lexically_relative(fs::canonical(folder_.path())));
  EXPECT_THAT(folders, ElementsAre("option", "imported/c", "variable", "variable2", "config",
                                   "home/.local/share/tempera/models"));
}

TEST_F(Trees, MistakesAreNamed) {
  EXPECT_EQ(refusal({}), "accepted");
  EXPECT_THAT(refusal({.models_dir = {"/nowhere"}}),
              HasSubstr("'/nowhere', a folder of models from models_dir, is no folder"));
  EXPECT_THAT(refusal({.import_paths = {"/nowhere.yaml"}}), HasSubstr("/nowhere.yaml"));
  setenv("TEMPERA_MODELS", "/nowhere", 1);
  EXPECT_THAT(refusal({}), HasSubstr("from TEMPERA_MODELS, is no folder"));
  unsetenv("TEMPERA_MODELS");
  const auto config = [&](const char* text) {
    write_file(folder_ / "home/.config/tempera/config.json", text);
    return refusal({});
  };
  EXPECT_THAT(config(R"({"models": []})"),
              HasSubstr("'models' is unknown: the members are models_dir and import_paths"));
  EXPECT_THAT(config(R"({"models_dir": "x"})"), HasSubstr("models_dir is no list of paths"));
  EXPECT_THAT(config("[]"), HasSubstr("is no JSON object"));
  EXPECT_THAT(config("{"), HasSubstr("is not valid JSON"));
  EXPECT_THAT(config(R"({"models_dir": ["/nowhere"]})"), HasSubstr("tempera/config.json, is no folder"));
}

std::vector<std::string> imported(std::string_view text) {
  std::vector<std::string> lines;
  for (const ModelFolder& folder : parse_import_paths(text, "e.yaml", "/comfy"))
    lines.push_back(folder.holds + "=" + folder.path.string());
  return lines;
}

TEST(ImportPaths, AreReadAsComfyUiReadsThem) {
  setenv("HOME", "/users/ann", 1);
  setenv("DISK", "/mnt/disk", 1);
  EXPECT_THAT(imported("# all\na111:\n    base_path: path/to/webui/\n\n    checkpoints: models/Stable-diffusion\n"
                       "    loras: |\n         models/Lora\n         models/LyCORIS\n    hypernetworks: models/h\n"),
              ElementsAre("checkpoints=/comfy/path/to/webui/models/Stable-diffusion",
                          "loras=/comfy/path/to/webui/models/Lora", "loras=/comfy/path/to/webui/models/LyCORIS"));
  EXPECT_THAT(imported("a:\n  base_path: ~/x\n  vae: v\nb:\n  is_default: true\n  base_path: ${DISK}/$DISK/$NONE/\n"
                       "  unet: u\nc:\n  clip: /abs\nd:\n"),
              ElementsAre("diffusion_models=/mnt/disk/mnt/disk/$NONE/u", "vae=/users/ann/x/v", "text_encoders=/abs"));
  EXPECT_THAT(imported(""), IsEmpty());
  EXPECT_THAT(imported("a: ~\nb:\n  vae: ~\n"), IsEmpty());
}

TEST(ImportPaths, MistakesHaveALine) {
  const auto refusal = [](std::string_view text) {
    try {
      imported(text);
    } catch (const Error& error) {
      return std::string(error.what());
    }
    return std::string("accepted");
  };
  EXPECT_THAT(refusal("a: b"), HasSubstr("'e.yaml' line 1: 'a' is no section"));
  EXPECT_THAT(refusal("a:\n  vae:\n    x: y"), HasSubstr("line 2: vae of 'a' is no text"));
  EXPECT_THAT(refusal("a:\n  is_default: maybe"), HasSubstr("line 2: is_default of 'a' is neither true nor false"));
  EXPECT_THAT(refusal("a:\n  base_path:\n    x: y"), HasSubstr("line 2: base_path of 'a' is no text"));
  EXPECT_THAT(refusal("a:\n  vae: \"x\\0\""), HasSubstr("zero byte"));
  EXPECT_THAT(refusal("a:\n  vae: [x]"), HasSubstr("line 2: '['"));
}

}  // namespace
}  // namespace tempera
