#include "source/locate.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>

#include "base/error.h"
#include "source/catalog/hash_store.h"
#include "source/catalog/test_trees.h"
#include "source/model_source.h"
#include "support/files.h"

namespace tempera {
namespace {

namespace fs = std::filesystem;
using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

class Locate : public testing::Test {
 protected:
  Locate() {
    for (const char* variable : {"HF_HOME", "HF_HUB_CACHE", "TEMPERA_MODELS", "XDG_CONFIG_HOME", "XDG_DATA_HOME"})
      unsetenv(variable);
    setenv("HOME", (folder_ / "home").c_str(), 1);
    setenv("XDG_CACHE_HOME", (folder_ / "cache").c_str(), 1);
    write_checkpoint(models_ / "checkpoints/sub/Base-XL.safetensors");
    write_checkpoint(models_ / "checkpoints/other.safetensors");
    write_vae(models_ / "vae/Base-XL.safetensors");
  }
  ~Locate() override { unsetenv("XDG_CACHE_HOME"); }

  fs::path find(std::string_view name, FileKind kind = FileKind::checkpoint) const {
    return locate(EngineOptions{.models_dir = {models_}}, kind, name);
  }
  std::string refusal(std::string_view name, FileKind kind = FileKind::checkpoint) const {
    try {
      return "found " + find(name, kind).string();
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::bad_file);
      return error.what();
    }
  }

  TemporaryFolder folder_;
  const fs::path models_ = folder_ / "ComfyUI/models";
  const fs::path base_ = models_ / "checkpoints/sub/Base-XL.safetensors";
};

TEST_F(Locate, EverySpellingOfAName) {
  for (const char* name : {"sub/Base-XL.safetensors", "SUB/base-xl.SAFETENSORS", "sub/Base-XL",
                           "sub\\Base-XL.safetensors", "Base-XL.safetensors", "base-xl", "sub_Base-XL"})
    EXPECT_EQ(find(name), base_) << name;
}

TEST_F(Locate, HashesOfA1111) {
  const std::string hash = sha256_of_file(base_);
  EXPECT_THAT(refusal(hash.substr(0, 10)), HasSubstr("no model with the hash '" + hash.substr(0, 10) + "' is known"));
  EXPECT_EQ(find("sub/Base-XL.safetensors [" + hash.substr(0, 10) + "]"), base_) << "computed for this name";
  EXPECT_EQ(find(hash.substr(0, 10)), base_);
  EXPECT_EQ(find(hash), base_);
  EXPECT_EQ(find("base-xl [" + hash.substr(0, 10) + "]"), base_);
  EXPECT_THAT(refusal("base-xl [0123456789]"),
              AllOf(HasSubstr("is not 'base-xl [0123456789]'"), HasSubstr(hash.substr(0, 10))));
}

TEST_F(Locate, TheKindDecides) {
  EXPECT_EQ(find("Base-XL", FileKind::vae), models_ / "vae/Base-XL.safetensors");
  EXPECT_EQ(find("other", FileKind::vae), models_ / "checkpoints/other.safetensors")
      << "the code that opens it objects";
}

TEST_F(Locate, AmbiguousNamesListTheirFiles) {
  write_checkpoint(models_ / "checkpoints/new/base-xl.safetensors");
  EXPECT_THAT(refusal("base-xl"), AllOf(HasSubstr("'base-xl' is the name of several models"), HasSubstr(base_.string()),
                                        HasSubstr("new/base-xl.safetensors"), Not(HasSubstr("vae/"))));
  EXPECT_EQ(find("sub/base-xl"), base_);
}

TEST_F(Locate, LinksAreTheSameFile) {
  fs::create_directories(models_ / "checkpoints/link");
  fs::create_symlink(base_, models_ / "checkpoints/link/base-xl.safetensors");
  EXPECT_EQ(fs::canonical(find("base-xl")), fs::canonical(base_));
}

TEST_F(Locate, TheFirstFolderDecides) {
  write_checkpoint(folder_ / "more/sub/Base-XL.safetensors");
  const auto in = [&](std::vector<std::string> dirs) {
    return locate(EngineOptions{.models_dir = std::move(dirs)}, FileKind::checkpoint, "base-xl");
  };
  EXPECT_EQ(in({models_, folder_ / "more"}), base_);
  EXPECT_EQ(in({folder_ / "more", models_}), folder_ / "more/sub/Base-XL.safetensors");
}

TEST_F(Locate, PathsComeFirst) {
  EXPECT_EQ(find(base_.string()), base_);
  EXPECT_EQ(find("./nowhere"), "./nowhere") << "the code that opens it says that it is not there";
  write_file(folder_ / "home/x.safetensors", "");
  EXPECT_EQ(find("~/x.safetensors"), folder_ / "home/x.safetensors");
  EXPECT_EQ(locate(EngineOptions{.models_dir = {"/nowhere"}}, FileKind::checkpoint, base_.string()), base_)
      << "folders do not matter then";
}

TEST_F(Locate, UnknownNamesHaveASuggestion) {
  EXPECT_EQ(refusal("bse-XL"), "there is no model 'bse-XL': did you mean 'Base-XL'?");
  EXPECT_EQ(refusal("sub/Base-X.safetensors"),
            "there is no model 'sub/Base-X.safetensors': did you mean 'sub/Base-XL.safetensors'?");
  EXPECT_EQ(refusal("oth"), "there is no model 'oth': did you mean 'other'?") << "a part of a name";
  EXPECT_THAT(refusal("something-else"), HasSubstr("a name that tempera models lists"));
  EXPECT_THAT(refusal("org/unheard-of"), HasSubstr("hf download org/unheard-of"));
}

TEST_F(Locate, TheHubIsLast) {
  const fs::path repository = folder_ / "cache/huggingface/hub/models--org--vae";
  write_file(repository / "refs/main", "abc");
  write_file(repository / "snapshots/abc/config.json", "{}");
  write_vae(repository / "snapshots/abc/diffusion_pytorch_model.safetensors");
  EXPECT_EQ(find("org/vae", FileKind::vae), repository / "snapshots/abc");
  EXPECT_EQ(find(repository.string(), FileKind::vae), repository / "snapshots/abc");
  EXPECT_EQ(model_label(repository / "snapshots/abc"), "org/vae@abc");
  EXPECT_EQ(refusal("orgg/vae"), "there is no model 'orgg/vae': did you mean 'org/vae'?");
  write_vae(models_ / "vae/org/vae.safetensors");
  EXPECT_EQ(find("org/vae", FileKind::vae), models_ / "vae/org/vae.safetensors");
}

// The settings text of a picture finds the model again, also if another one has the same name.
TEST_F(Locate, RecordedNamesFindTheirFiles) {
  EngineOptions options{.models_dir = {models_}};
  const fs::path vae = models_ / "vae/Base-XL.safetensors", unet = folder_ / "mine/unet";
  options.vae = vae;
  options.unet = unet;
  const auto names = [&](const fs::path& model) { return recorded_names(options, {.unet = unet, .vae = vae}, model); };
  EXPECT_EQ(names(base_).model, "Base-XL");
  EXPECT_EQ(names(base_).vae, "Base-XL") << "the kind decides";
  EXPECT_EQ(names(base_).unet, "mine/unet") << "outside of the folders";
  const fs::path other = models_ / "checkpoints/new/base-xl.safetensors", link = folder_ / "link.safetensors";
  write_checkpoint(other);
  for (const fs::path& model : {base_, other}) EXPECT_EQ(find(names(model).model), model);
  EXPECT_EQ(names(base_).model, "sub/Base-XL.safetensors");
  EXPECT_EQ(names(base_).vae, "Base-XL");
  fs::create_symlink(base_, link);
  EXPECT_EQ(names(link).model, "sub/Base-XL.safetensors") << "the same file";
  // Hidden by an earlier folder: no name finds it.
  const fs::path hidden = folder_ / "more/sub/Base-XL.safetensors";
  write_checkpoint(hidden);
  options.models_dir.push_back(folder_ / "more");
  EXPECT_EQ(names(hidden).model, "Base-XL");
  options.models_dir = {"/nowhere"};
  EXPECT_EQ(names(base_).model, "Base-XL") << "folders do not matter for a path";
}

TEST(ModelLabel, NamesTheModel) {
  EXPECT_EQ(model_label("/m/base.v1.safetensors"), "base.v1");
  EXPECT_EQ(model_label("/m/base.sft"), "base");
  const TemporaryFolder folder;
  fs::create_directory(folder / "sdxl-1.0");
  EXPECT_EQ(model_label(folder / "sdxl-1.0"), "sdxl-1.0");
  EXPECT_EQ(model_label(folder / "sdxl-1.0/"), "sdxl-1.0");
}

}  // namespace
}  // namespace tempera
