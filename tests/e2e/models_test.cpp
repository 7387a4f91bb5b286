// Models by name: what --model accepts, and what tempera models says.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <thread>

#include "image/infotext.h"
#include "image/picture_file.h"
#include "program.h"
#include "tiny_model.h"

namespace tempera::test {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using testing::AllOf;
using testing::HasSubstr;
using testing::StartsWith;

class Models : public testing::Test {
 protected:
  Models() {
    for (const char* variable : {"HF_HOME", "HF_HUB_CACHE", "TEMPERA_MODELS"}) unsetenv(variable);
    for (const char* variable : {"XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME"})
      setenv(variable, (folder_ / variable).c_str(), 1);
    fs::create_directories(comfy_ / "models/checkpoints/xl");
    fs::create_directory_symlink(tiny_folder(), comfy_ / "models/checkpoints/xl/Tiny-1.0");
  }
  ~Models() override {
    for (const char* variable : {"XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "TEMPERA_MODELS"})
      unsetenv(variable);
  }

  Ran run(const std::vector<std::string>& arguments) const {
    Surroundings here;
    here.folder = folder_.path();
    return run_tempera(arguments, here);
  }
  Ran generate(const std::vector<std::string>& more) const {
    std::vector<std::string> arguments = {"--output", "a.png"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return run(generate_arguments(arguments));
  }
  PictureFile png() const {
    const std::string bytes = read_file(folder_ / "a.png");
    return read_picture(std::as_bytes(std::span(bytes)), "a.png");
  }
  Infotext settings() const { return parse_infotext(png().text.at(0).second); }

  // A copy of the single file under `name` in a plain folder, which TEMPERA_MODELS names.
  fs::path add_single_file(const char* name) const {
    const fs::path file = folder_ / "plain" / name;
    fs::create_directories(file.parent_path());
    fs::copy_file(tiny_single_file(), file);
    setenv("TEMPERA_MODELS", file.parent_path().c_str(), 1);
    return file;
  }
  static std::vector<std::string> configs_of_folder() {
    return {"--model-config", tiny_folder(), "--tokenizer", tiny_folder()};
  }

  TemporaryFolder folder_;
  const fs::path comfy_ = folder_ / "ComfyUI";
};

TEST_F(Models, NamesDrawTheSamePictures) {
  ASSERT_EQ(generate({}).status, 0);
  const Image8 by_path = png().image;
  for (const std::string& name :
       std::vector<std::string>{"tiny-1.0", "xl/Tiny-1.0", comfy_ / "models/checkpoints/xl/Tiny-1.0/"}) {
    const Ran ran = generate({"--models-dir", comfy_, "--model", name});
    ASSERT_EQ(ran.status, 0) << name << ran.err;
    EXPECT_EQ(png().image.rgb, by_path.rgb) << name;
    EXPECT_EQ(settings().find("Model"), "Tiny-1.0") << name;
  }
}

TEST_F(Models, EveryFolderCounts) {
  fs::create_directories(folder_ / "empty");
  EXPECT_EQ(generate({"--models-dir", comfy_, "--models-dir", folder_ / "empty", "--model", "tiny-1.0"}).status, 0);
  EXPECT_EQ(generate({"--models-dir", folder_ / "empty", "--models-dir", comfy_, "--model", "tiny-1.0"}).status, 0);
  setenv("TEMPERA_MODELS", (folder_ / "empty").c_str(), 1);
  write_file(folder_ / "paths.yaml", "comfy:\n  base_path: ComfyUI\n  checkpoints: models/checkpoints\n");
  EXPECT_EQ(generate({"--import-paths", "paths.yaml", "--model", "tiny-1.0"}).status, 0);
  write_file(folder_ / "XDG_CONFIG_HOME/tempera/config.json", R"({"import_paths": ["../../paths.yaml"]})");
  EXPECT_EQ(generate({"--model", "tiny-1.0"}).status, 0);
}

TEST_F(Models, SnapshotsOfTheHub) {
  const fs::path repository = folder_ / "XDG_CACHE_HOME/huggingface/hub/models--org--tiny";
  const fs::path snapshot = repository / "snapshots/0123abcd";
  write_file(repository / "refs/main", "0123abcd");
  int blob = 0;
  for (const auto& entry : fs::recursive_directory_iterator(tiny_folder())) {
    if (!entry.is_regular_file()) continue;
    const fs::path file = snapshot / entry.path().lexically_relative(tiny_folder());
    const fs::path target = repository / "blobs" / std::to_string(++blob);
    fs::create_directories(target.parent_path());
    fs::create_directories(file.parent_path());
    fs::copy_file(entry.path(), target);
    fs::create_symlink(target.lexically_relative(file.parent_path()), file);
  }
  ASSERT_EQ(generate({"--model", "org/tiny"}).status, 0);
  const Image8 first = png().image;
  EXPECT_EQ(settings().find("Model"), "org/tiny@0123abcd");
  ASSERT_EQ(generate({"--model", "org/tiny@0123abcd"}).status, 0) << "the name in the settings draws it again";
  EXPECT_EQ(png().image.rgb, first.rgb);
  const Ran unknown = generate({"--model", "org/other"});
  EXPECT_EQ(unknown.status, 2);
  EXPECT_THAT(unknown.err, HasSubstr("hf download org/other"));
  fs::remove(fs::canonical(snapshot / "vae/diffusion_pytorch_model.safetensors"));
  const Ran incomplete = generate({"--model", "org/tiny"});
  EXPECT_EQ(incomplete.status, 2);
  EXPECT_THAT(incomplete.err, AllOf(HasSubstr("is incomplete"), HasSubstr("vae/diffusion_pytorch_model.safetensors")));
}

// Waits until the process that goes on after a picture has stored the hash.
std::string hash_in_list(const std::function<Ran()>& list) {
  for (int attempt = 0; attempt < 300; ++attempt) {
    const std::string hash = json::parse(list().out).at("models").at(0).at("sha256");
    if (!hash.empty()) return hash;
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
  }
  return "";
}

TEST_F(Models, HashesAreKnownAfterTheFirstPicture) {
  add_single_file("my model.safetensors");
  std::vector<std::string> arguments = configs_of_folder();
  arguments.insert(arguments.end(), {"--model", "my model"});
  const Ran first = generate(arguments);
  ASSERT_EQ(first.status, 0) << first.err;
  EXPECT_EQ(settings().find("Model hash"), std::nullopt) << "the picture does not wait for it";
  const std::string hash = hash_in_list([&] { return run({"models", "--json"}); });
  ASSERT_EQ(hash.size(), 64u);
  const std::string title = "my model.safetensors [" + hash.substr(0, 10) + "]";
  arguments.back() = title;
  const Ran second = generate(arguments);
  ASSERT_EQ(second.status, 0) << second.err;
  EXPECT_EQ(settings().find("Model hash"), hash.substr(0, 10));
  EXPECT_EQ(settings().find("Model"), "my model");
}

TEST_F(Models, AreListed) {
  add_single_file("a.safetensors");
  const Ran table = run({"models", "--models-dir", comfy_});
  EXPECT_EQ(table.status, 0) << table.err;
  EXPECT_THAT(table.out, AllOf(StartsWith("name"), HasSubstr("\nxl/Tiny-1.0"), HasSubstr("\na.safetensors")));
  const json list = json::parse(run({"models", "--hash", "--json"}).out).at("models");
  ASSERT_EQ(list.size(), 1u);
  EXPECT_EQ(list[0].at("kind"), "checkpoint");
  EXPECT_EQ(list[0].at("base"), "SDXL");
  EXPECT_EQ(list[0].at("sha256").get<std::string>().size(), 64u);
  unsetenv("TEMPERA_MODELS");
  EXPECT_THAT(run({"models"}).out, StartsWith("no models: "));
}

TEST_F(Models, AreShownAndVerified) {
  const fs::path file = add_single_file("a.safetensors");
  const Ran info = run({"models", "info", "a"});
  EXPECT_THAT(info.out, AllOf(HasSubstr("kind          checkpoint"), HasSubstr("path          " + file.string())));
  EXPECT_EQ(json::parse(run({"models", "info", "a", "--json"}).out).at("kind"), "checkpoint");
  std::vector<std::string> verify = {"models", "verify", "a"};
  const std::vector<std::string> configs = configs_of_folder();
  verify.insert(verify.end(), configs.begin(), configs.end());
  const Ran sound = run(verify);
  EXPECT_EQ(sound.status, 0) << sound.out;
  EXPECT_THAT(sound.out, HasSubstr("no faults"));
  fs::resize_file(file, fs::file_size(file) - 2);
  verify.emplace_back("--json");
  const Ran damaged = run(verify);
  EXPECT_EQ(damaged.status, 2);
  const json check = json::parse(damaged.out);
  EXPECT_EQ(check.at("good"), false);
  EXPECT_EQ(check.at("faults").size(), 1u);
}

// A LoRA of rank 2 for the first convolution of SDXL: (2, 4, 3, 3) and (320, 2, 1, 1) in float16.
std::string lora_file() {
  const std::string header =
      R"({"__metadata__":{"ss_base_model_version":"sdxl_base_v1-0","ss_network_dim":"2",)"
      R"("modelspec.trigger_phrase":"in my style"},)"
      R"("lora_unet_conv_in.lora_down.weight":{"dtype":"F16","shape":[2,4,3,3],"data_offsets":[0,144]},)"
      R"("lora_unet_conv_in.lora_up.weight":{"dtype":"F16","shape":[320,2,1,1],"data_offsets":[144,1424]}})";
  std::string file;
  for (size_t i = 0; i < 8; ++i) file += static_cast<char>(header.size() >> (8 * i));
  return file + header + std::string(1424, '\0');
}

TEST_F(Models, OfAnAdapterInfoShowsItsChanges) {
  write_file(folder_ / "plain/style.safetensors", lora_file());
  setenv("TEMPERA_MODELS", (folder_ / "plain").c_str(), 1);
  const Ran text = run({"info", "style"});
  EXPECT_EQ(text.status, 0) << text.err;
  for (const char* line :
       {"kind          lora", "base          SDXL", "trigger words in my style", "formulas      LoCon",
        "rank          2", "unet: 1 parameters", "2 match SDXL, 0 do not", "ss_network_dim: 2"})
    EXPECT_THAT(text.out, HasSubstr(line));
  const json info = json::parse(run({"info", "style", "--json"}).out);
  EXPECT_EQ(info.at("components").at(0).at("elements"), 320 * 4 * 9);
  const json listed = json::parse(run({"models", "info", "style", "--json"}).out);
  for (const auto& [key, value] : listed.items()) EXPECT_EQ(info.at(key), value) << key;
  EXPECT_EQ(json::parse(run({"models", "--json"}).out).at("models").at(0).at("kind"), "lora");
}

TEST_F(Models, MistakesNameTheRemedy) {
  const Ran typing = generate({"--models-dir", comfy_, "--model", "tiny-1.1"});
  EXPECT_EQ(typing.status, 2);
  EXPECT_THAT(typing.err, HasSubstr("there is no model 'tiny-1.1': did you mean 'Tiny-1.0'?"));
  const Ran nowhere = generate({"--models-dir", "nowhere", "--model", "x"});
  EXPECT_EQ(nowhere.status, 2);
  EXPECT_THAT(nowhere.err, HasSubstr("'nowhere', a folder of models from --models-dir, is no folder"));
  write_file(folder_ / "paths.yaml", "a:\n  checkpoints: [x]\n");
  const Ran yaml = run({"models", "--import-paths", "paths.yaml"});
  EXPECT_EQ(yaml.status, 2);
  EXPECT_THAT(yaml.err, HasSubstr("'paths.yaml' line 2: "));
  fs::create_directories(comfy_ / "models/checkpoints/other");
  fs::copy_file(tiny_single_file(), comfy_ / "models/checkpoints/other/b.safetensors");
  fs::copy_file(tiny_single_file(), comfy_ / "models/checkpoints/xl/b.safetensors");
  const Ran ambiguous = generate({"--models-dir", comfy_, "--model", "b"});
  EXPECT_EQ(ambiguous.status, 2);
  EXPECT_THAT(ambiguous.err, AllOf(HasSubstr("is the name of several models"), HasSubstr("other/b.safetensors"),
                                   HasSubstr("xl/b.safetensors")));
}

}  // namespace
}  // namespace tempera::test
