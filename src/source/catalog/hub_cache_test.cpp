// Caches as huggingface_hub writes them: with and without symbolic links, with two revisions, incomplete.
#include "source/catalog/hub_cache.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>

#include "base/error.h"
#include "support/files.h"

namespace tempera {
namespace {

namespace fs = std::filesystem;
using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

constexpr const char* kCommit = "462165984030d82259a11f4367a4eed129e94a7b";
constexpr const char* kOther = "76d28af79639c28a79fa5c6c6468febd3490a37e";
constexpr const char* kIndex = R"({"_class_name": "StableDiffusionXLPipeline",
  "feature_extractor": [null, null], "scheduler": ["diffusers", "EulerDiscreteScheduler"],
  "text_encoder": ["transformers", "CLIPTextModel"],
  "text_encoder_2": ["transformers", "CLIPTextModelWithProjection"],
  "unet": ["diffusers", "UNet2DConditionModel"], "vae": ["diffusers", "AutoencoderKL"]})";
constexpr const char* kUnet = "unet/diffusion_pytorch_model.safetensors";

class HubCache : public testing::Test {
 protected:
  HubCache() { write_file(repository() / "refs/main", kCommit); }

  fs::path repository() const { return folder_ / "models--org--name"; }
  fs::path snapshot(const char* commit = kCommit) const { return repository() / "snapshots" / commit; }

  void add(const std::string& file, const std::string& contents, const char* commit = kCommit) {
    const fs::path path = snapshot(commit) / file;
    if (!links_) return write_file(path, contents);
    const std::string blob = "blob" + std::to_string(++blobs_);
    write_file(repository() / "blobs" / blob, contents);
    fs::create_directories(path.parent_path());
    const fs::path up = fs::path("..").append("..").append(file.find('/') == file.npos ? "" : "..").lexically_normal();
    fs::create_symlink(up / "blobs" / blob, path);
  }

  void add_model(const char* commit = kCommit) {
    add("model_index.json", kIndex, commit);
    add("scheduler/scheduler_config.json", "{}", commit);
    for (const char* part : {"text_encoder", "text_encoder_2", "unet", "vae"}) {
      const std::string stem = std::string(part).starts_with("text") ? "/model" : "/diffusion_pytorch_model";
      add(std::string(part) + "/config.json", "{}", commit);
      add(part + stem + ".safetensors", "w", commit);
    }
  }

  fs::path find(const char* name = "org/name") const { return find_in_hub(*parse_hub_name(name), folder_.path()); }
  std::string refusal(const char* name = "org/name") const {
    try {
      return "found " + find(name).string();
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::bad_file);
      return error.what();
    }
  }

  TemporaryFolder folder_;
  bool links_ = true;
  int blobs_ = 0;
};

TEST_F(HubCache, FindsSnapshotsOfLinks) {
  add_model();
  EXPECT_EQ(find(), snapshot());
  EXPECT_TRUE(fs::is_symlink(snapshot() / kUnet));
}

TEST_F(HubCache, FindsSnapshotsOfFiles) {
  links_ = false;
  add_model();
  EXPECT_EQ(find(), snapshot());
}

TEST_F(HubCache, FindsRevisions) {
  add_model();
  add_model(kOther);
  write_file(repository() / "refs/fp16", kOther);
  write_file(repository() / "refs/refs/pr/1", kOther);
  EXPECT_EQ(find("org/name@main"), snapshot());
  EXPECT_EQ(find("org/name@fp16"), snapshot(kOther));
  EXPECT_EQ(find("org/name@refs/pr/1"), snapshot(kOther));
  EXPECT_EQ(find(("org/name@" + std::string(kOther)).c_str()), snapshot(kOther));
  EXPECT_THAT(refusal("org/name@v9"), AllOf(HasSubstr("the revision 'v9' of 'org/name' is not in"), HasSubstr("fp16"),
                                            HasSubstr("main"), HasSubstr("hf download org/name --revision v9")));
}

TEST_F(HubCache, ListsRevisions) {
  add_model();
  add_model(kOther);
  write_file(repository() / "refs/v1", kCommit);
  write_file(folder_ / "models--org--empty/refs/main", kCommit);  // without snapshots
  write_file(folder_ / "datasets--org--x/snapshots/y/z", "");
  EXPECT_THAT(hub_names(folder_.path()), testing::ElementsAre(HubName{"org/name", "main"}, HubName{"org/name", "v1"},
                                                              HubName{"org/name", kOther}));
}

TEST_F(HubCache, NamesTheCommandThatFetches) {
  EXPECT_THAT(refusal("org/other"), AllOf(HasSubstr("there is no model 'org/other'"), HasSubstr(folder_.path()),
                                          HasSubstr("hf download org/other --include")));
  EXPECT_THAT(refusal(), HasSubstr("the snapshot '" + std::string(kCommit) + "' of 'org/name' is not in"));
}

TEST_F(HubCache, ListsEverythingThatIsMissing) {
  add_model();
  fs::remove(snapshot() / "vae/config.json");
  fs::remove(fs::canonical(snapshot() / kUnet));  // the link stays
  fs::remove(snapshot() / "scheduler/scheduler_config.json");
  EXPECT_THAT(refusal(), AllOf(HasSubstr("'org/name' in the Hugging Face cache is incomplete"), HasSubstr(kUnet),
                               HasSubstr("vae/config.json"), HasSubstr("scheduler/scheduler_config.json"),
                               HasSubstr("hf download org/name "), Not(HasSubstr("text_encoder"))));
}

TEST_F(HubCache, ListsMissingShards) {
  add_model();
  fs::remove(snapshot() / kUnet);
  add("unet/diffusion_pytorch_model.safetensors.index.json",
      R"({"metadata": {"total_size": 2}, "weight_map": {"a": "diffusion_pytorch_model-00001-of-00002.safetensors",
          "b": "diffusion_pytorch_model-00002-of-00002.safetensors"}})");
  add("unet/diffusion_pytorch_model-00001-of-00002.safetensors", "w");
  EXPECT_THAT(refusal(),
              AllOf(HasSubstr("unet/diffusion_pytorch_model-00002-of-00002.safetensors"), Not(HasSubstr("00001-of"))));
  add("unet/diffusion_pytorch_model-00002-of-00002.safetensors", "w");
  EXPECT_EQ(find(), snapshot());
}

TEST_F(HubCache, AcceptsVariants) {
  add_model();
  fs::rename(snapshot() / kUnet, snapshot() / "unet/diffusion_pytorch_model.fp16.safetensors");
  EXPECT_EQ(find(), snapshot());
}

TEST_F(HubCache, PicklesAreNoWeights) {
  add_model();
  fs::rename(snapshot() / kUnet, snapshot() / "unet/diffusion_pytorch_model.bin");
  EXPECT_THAT(refusal(), HasSubstr(kUnet));
}

TEST_F(HubCache, FindsComponentsAndSingleFiles) {
  add("config.json", "{}");
  add("diffusion_pytorch_model.safetensors", "w");
  EXPECT_EQ(find(), snapshot());
  fs::remove(snapshot() / "config.json");
  EXPECT_EQ(find(), snapshot() / "diffusion_pytorch_model.safetensors");
  add("other.safetensors", "w");
  EXPECT_THAT(refusal(), HasSubstr("lacks model_index.json"));
}

TEST_F(HubCache, LinksLeadIntoBlobsAndNowhereElse) {
  add_model();
  write_file(folder_ / "secret", "s");
  fs::create_symlink(folder_ / "secret", snapshot() / "unet/more.json");
  EXPECT_THAT(refusal(), AllOf(HasSubstr("unet/more.json' is a symbolic link to"), HasSubstr("secret")));
  fs::remove(snapshot() / "unet/more.json");
  fs::create_directory_symlink(folder_.path(), snapshot() / "unet/more");
  EXPECT_THAT(refusal(), HasSubstr("unet/more' is a symbolic link to"));
  fs::remove(snapshot() / "unet/more");
  fs::create_symlink("../../../blobs/../../secret", snapshot() / "unet/more.json");
  EXPECT_THAT(refusal(), HasSubstr("is a symbolic link to"));
}

TEST_F(HubCache, RefsAreNamesOfCommits) {
  write_file(repository() / "refs/main", "../../elsewhere");
  EXPECT_THAT(refusal(), HasSubstr("does not have the name of a commit"));
  write_file(repository() / "refs/main", std::string(kCommit) + "\n");
  add_model();
  EXPECT_EQ(find(), snapshot());
}

TEST_F(HubCache, NamesOfPaths) {
  EXPECT_EQ(hub_name_of(snapshot()), "org/name@" + std::string(kCommit));
  EXPECT_EQ(hub_name_of(snapshot() / ""), "org/name@" + std::string(kCommit));
  EXPECT_EQ(hub_name_of(snapshot() / kUnet), "org/name@" + std::string(kCommit));
  EXPECT_EQ(hub_name_of("/models/sdxl"), std::nullopt);
  add_model();
  EXPECT_EQ(hub_repository(repository())->repository, "org/name");
  EXPECT_EQ(hub_repository(repository() / "")->repository, "org/name");
  EXPECT_EQ(hub_repository(snapshot()), std::nullopt);
}

TEST(HubNames, AreRead) {
  EXPECT_EQ(parse_hub_name("org/na-me.1")->repository, "org/na-me.1");
  EXPECT_EQ(parse_hub_name("org/name")->revision, "main");
  EXPECT_EQ(parse_hub_name("org/name@v1.0")->revision, "v1.0");
  for (const char* text : {"name", "/name", "org/", "a/b/c", "../name", "org/..", "org/name@", "org/name@../x",
                           "org/name@/x", "org/name@x/", "org/na me", "o--g/name"})
    EXPECT_EQ(parse_hub_name(text), std::nullopt) << text;
}

TEST(HubCaches, AreWhereTheVariablesSay) {
  for (const char* variable : {"HF_HUB_CACHE", "HF_HOME", "XDG_CACHE_HOME"}) unsetenv(variable);
  setenv("HOME", "/h", 1);
  EXPECT_EQ(hub_cache(), "/h/.cache/huggingface/hub");
  setenv("XDG_CACHE_HOME", "/x", 1);
  EXPECT_EQ(hub_cache(), "/x/huggingface/hub");
  setenv("HF_HOME", "~/hf", 1);
  EXPECT_EQ(hub_cache(), "/h/hf/hub");
  setenv("HF_HUB_CACHE", "/c", 1);
  EXPECT_EQ(hub_cache(), "/c");
  for (const char* variable : {"HF_HUB_CACHE", "HF_HOME", "XDG_CACHE_HOME"}) unsetenv(variable);
}

}  // namespace
}  // namespace tempera
