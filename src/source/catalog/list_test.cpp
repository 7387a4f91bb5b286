// The list of models: trigger words, notes, the hub; and the verification of one model.
#include "source/catalog/list.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <limits>

#include "base/error.h"
#include "source/catalog/sha256.h"
#include "source/catalog/test_trees.h"
#include "source/catalog/trigger_words.h"
#include "support/files.h"

namespace tempera {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::UnorderedElementsAre;

class Models : public testing::Test {
 protected:
  Models() {
    for (const char* variable : {"HF_HOME", "HF_HUB_CACHE", "TEMPERA_MODELS", "XDG_CONFIG_HOME", "XDG_DATA_HOME"})
      unsetenv(variable);
    setenv("HOME", (folder_ / "home").c_str(), 1);
    setenv("XDG_CACHE_HOME", (folder_ / "cache").c_str(), 1);
    engine_.models_dir = {models_};
    fs::create_directories(models_);
  }
  ~Models() override { unsetenv("XDG_CACHE_HOME"); }

  std::vector<std::string> faults(std::string_view name) const { return verify_model(engine_, name).faults; }

  TemporaryFolder folder_;
  const fs::path models_ = folder_ / "models";
  EngineOptions engine_;
};

TEST_F(Models, TriggerWordsAreFromMetadataAndFilesNextToIt) {
  const fs::path lora = models_ / "a.safetensors";
  using Metadata = std::map<std::string, std::string>;
  const auto words = [&](const Metadata& metadata) { return trigger_words(lora, metadata).words; };
  const Metadata tags = {
      {"ss_tag_frequency", R"({"3_x": {"cat": 5, " dog": 2}, "1_y": {"dog": 9, "a": 1, "b": 1, "c": 1, "d": 1}})"}};
  EXPECT_THAT(words({}), IsEmpty());
  EXPECT_THAT(words(tags), ElementsAre("dog", "cat", "a", "b", "c"));
  EXPECT_THAT(words({{"modelspec.trigger_phrase", " ohwx man "}, *tags.begin()}), ElementsAre("ohwx man"));
  write_file(models_ / "a.json", R"({"activation text": "style of x", "preferred weight": 1})");
  write_file(models_ / "a.civitai.info", R"({"trainedWords": ["style of x", "y"], "files": []})");
  EXPECT_THAT(words(tags), ElementsAre("style of x", "y"));
  write_file(models_ / "a.json", "{");
  const TriggerWords broken = trigger_words(lora, {});
  EXPECT_THAT(broken.words, ElementsAre("style of x", "y"));
  EXPECT_THAT(broken.problems, ElementsAre(HasSubstr("a.json' is not valid JSON")));
  EXPECT_THAT(trigger_words(models_ / "b.safetensors", {{"ss_tag_frequency", "[1"}}).problems,
              ElementsAre(HasSubstr("ss_tag_frequency")));
}

TEST_F(Models, AreListedWithTheirProperties) {
  write_checkpoint(models_ / "checkpoints/base.safetensors");
  write_lora(models_ / "checkpoints/style.safetensors");
  write_file(models_ / "checkpoints/old.ckpt", "PK");
  write_lora(folder_ / "more/loras/style.safetensors");
  engine_.models_dir.push_back(folder_ / "more");
  const std::string hash = model_hash(models_ / "checkpoints/base.safetensors");
  const std::vector<ModelEntry> models = list_models(engine_);
  ASSERT_EQ(models.size(), 4u);
  EXPECT_EQ(models[0].name, "base.safetensors");
  EXPECT_EQ(models[0].kind, "checkpoint");
  EXPECT_EQ(models[0].base, "SDXL");
  EXPECT_THAT(models[0].dtypes, ElementsAre("f16"));
  EXPECT_EQ(models[0].bytes, fs::file_size(models[0].path));
  EXPECT_EQ(models[0].sha256, hash);
  EXPECT_THAT(models[0].notes, IsEmpty());
  EXPECT_EQ(models[1].kind, "unknown");
  EXPECT_THAT(models[1].notes, ElementsAre("a pickle, not opened: convert it to safetensors"));
  EXPECT_EQ(models[2].kind, "lora");
  EXPECT_EQ(models[2].sha256, "");
  EXPECT_THAT(models[2].notes, ElementsAre("it is in a folder for checkpoints"));
  EXPECT_THAT(models[3].notes, ElementsAre("its name is that of '" + models[2].path + "': give the path"));
}

TEST_F(Models, OfTheHubAreListed) {
  const auto repository = [&](const char* name) { return folder_ / "cache/huggingface/hub" / name; };
  write_file(repository("models--org--vae") / "refs/main", "abc");
  write_file(repository("models--org--vae") / "refs/fp16", "abc");
  write_file(repository("models--org--vae") / "snapshots/abc/config.json", "{}");
  write_vae(repository("models--org--vae") / "snapshots/abc/diffusion_pytorch_model.safetensors");
  write_file(repository("models--org--half") / "refs/main", "abc");
  write_file(repository("models--org--half") / "snapshots/abc/model_index.json", R"({"unet": ["diffusers", "x"]})");
  write_file(repository("models--org--text") / "refs/main", "abc");
  write_file(repository("models--org--text") / "snapshots/abc/config.json", "{}");
  std::vector<std::string> lines;
  for (const ModelEntry& model : list_models(engine_))
    lines.push_back(model.name + ": " + model.kind + (model.notes.empty() ? "" : ", " + model.notes[0].substr(0, 50)));
  EXPECT_THAT(lines, ElementsAre("org/half: unknown, 'org/half' in the Hugging Face cache is incomplete",
                                 "org/vae@fp16: vae", "org/vae: vae"));
}

TEST_F(Models, OneIsDescribed) {
  write_vae(models_ / "vae/fixed.safetensors");
  EXPECT_EQ(describe_model(engine_, "fixed").kind, "vae");
  EXPECT_EQ(describe_model(engine_, (models_ / "vae/fixed.safetensors").string()).name, "fixed");
  EXPECT_THROW(describe_model(engine_, "./none"), Error);
}

class Verify : public Models {
 protected:
  Verify() { write_zeros(file_, single_file_tensors(small_model())); }

  // Replaces the first bytes of the first tensor of the file.
  void overwrite(uint32_t value) const {
    std::fstream file(file_, std::ios::in | std::ios::out | std::ios::binary);
    uint64_t header = 0;
    file.read(reinterpret_cast<char*>(&header), 8);
    file.seekp(static_cast<std::streamoff>(8 + header));
    file.write(reinterpret_cast<const char*>(&value), 4);
  }

  const fs::path file_ = models_ / "checkpoints/small.safetensors";
};

TEST_F(Verify, SoundModels) {
  const ModelCheck check = verify_model(engine_, "small");
  EXPECT_THAT(check.faults, IsEmpty());
  EXPECT_EQ(check.model.sha256, sha256_of_file(file_));
  EXPECT_THAT(check.sha256, ElementsAre(std::pair(file_.string(), check.model.sha256)));
  EXPECT_GT(check.tensors, 100u);
  EXPECT_EQ(known_model_hash(file_), check.model.sha256);
}

TEST_F(Verify, ElementsThatAreNoNumbers) {
  overwrite(0x7c00'7e00);  // f16: NaN, infinity
  EXPECT_THAT(faults("small"), ElementsAre(HasSubstr("has 1 NaN and 1 infinite elements")));
}

TEST_F(Verify, BytesThatChangedOnTheDisk) {
  const auto time = fs::last_write_time(file_);
  ASSERT_THAT(faults("small"), IsEmpty());
  overwrite(0x3c00'3c00);
  fs::last_write_time(file_, time);
  EXPECT_THAT(faults("small"), ElementsAre(HasSubstr("but it was ")));
}

TEST_F(Verify, HashesOfOtherPrograms) {
  const std::string hash = sha256_of_file(file_);
  std::string capitals = hash;
  std::ranges::transform(capitals, capitals.begin(),
                         [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
  const auto info = [&](const std::string& said) {
    write_file(models_ / "checkpoints/small.civitai.info",
               R"({"files": [{"name": "small.safetensors", "hashes": {"SHA256": ")" + said + R"("}}]})");
  };
  info(capitals);
  EXPECT_THAT(faults("small"), IsEmpty());
  info(std::string(64, 'A'));
  EXPECT_THAT(faults("small"), ElementsAre(HasSubstr("Civitai's file next to it says aaaa")));
}

TEST_F(Verify, TheHashOfTheTensorsInTheFile) {
  const std::vector<TensorSpec> tensors = {{"decoder.up.0.block.0.conv1.weight", DType::f32, {2}}};
  const std::string data = "\x01\x02\x03\x04\x05\x06\x07\x08";
  write_file(folder_ / "data", data);
  fs::create_directories(models_ / "vae");
  const std::string hash = sha256_of_file(folder_ / "data");
  const auto verified = [&](const std::string& said) {
    SafetensorsWriter writer(models_ / "vae/vae.safetensors", tensors, {{"modelspec.hash_sha256", said}});
    writer.append(std::as_bytes(std::span(data)));
    writer.commit();
    return verify_model(engine_, "vae");
  };
  std::string capitals = hash;
  std::ranges::transform(capitals, capitals.begin(),
                         [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
  for (const std::string& said : {"0x" + hash, hash, "0x" + capitals}) {
    const ModelCheck check = verified(said);
    EXPECT_THAT(check.faults, IsEmpty());
    EXPECT_THAT(check.confirmed, ElementsAre(HasSubstr("have the SHA-256 of its modelspec.hash_sha256")));
  }
  for (const std::string& said : {"0x" + std::string(64, '0'), std::string("?")}) {
    const ModelCheck check = verified(said);
    EXPECT_THAT(check.faults,
                ElementsAre(testing::AllOf(HasSubstr(hash), HasSubstr("modelspec.hash_sha256 is '" + said))));
    EXPECT_THAT(check.confirmed, IsEmpty());
  }
}

TEST_F(Verify, TruncatedFiles) {
  fs::resize_file(file_, fs::file_size(file_) - 1);
  const ModelCheck check = verify_model(engine_, "small");
  EXPECT_THAT(check.faults, ElementsAre(HasSubstr("truncated")));
  EXPECT_FALSE(check.good());
}

TEST_F(Verify, ShapesOfTheConfiguration) {
  const ModelConfig model = small_model();
  const fs::path folder = models_ / "folder";
  std::string index = R"({"_class_name": "StableDiffusionXLPipeline", "scheduler": ["diffusers", "x"])";
  for (const auto& [name, tensors] : model_tensors(model)) {
    const ComponentKind& kind = component_kind(name);
    index += R"(, ")" + std::string(name) + R"(": [")" + std::string(kind.library) + R"(", ")" +
             std::string(kind.class_name) + R"("])";
    write_zeros(folder / name / (std::string(kind.weights_stem()) + ".safetensors"), tensors);
  }
  write_file(folder / "model_index.json", index + "}");
  write_file(folder / "scheduler/scheduler_config.json", R"({"_class_name": "EulerDiscreteScheduler"})");
  for (const auto& [name, config] : component_configs(model))
    write_file(folder / name / "config.json", config_json(config));
  EXPECT_THAT(faults("folder"), IsEmpty());
  EXPECT_EQ(verify_model(engine_, "folder").sha256.size(), 4u);
  Tensors vae = tensors_of(model.vae);
  const std::string missing = vae[0].name, changed = vae[1].name;
  vae[1].dims[0] += 1;
  vae.erase(vae.begin());
  write_zeros(folder / "vae/diffusion_pytorch_model.safetensors", vae);
  EXPECT_THAT(faults("folder"),
              UnorderedElementsAre(testing::AllOf(HasSubstr("the vae lacks "), HasSubstr(missing)),
                                   testing::AllOf(HasSubstr(changed), HasSubstr("but the configuration says"))));
}

TEST_F(Verify, CanBeCancelled) {
  try {
    verify_model(engine_, "small", {.cancelled = [] { return true; }});
    ADD_FAILURE();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::cancelled);
  }
}

}  // namespace
}  // namespace tempera
