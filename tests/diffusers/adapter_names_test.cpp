// The adapter files of the reference, made by and for diffusers: every tensor has its place in the small model.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <set>

#include "adapters/adapter_parts.h"
#include "models/components.h"
#include "source/model_adapter.h"
#include "support/reference.h"

namespace tempera {
namespace {

namespace fs = std::filesystem;

std::string read_text(const fs::path& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

AdapterNames reference_names() {
  ModelConfig config;
  for (const ComponentKind& kind : component_kinds()) {
    if (!kind.in_models()) continue;
    kind.set(config, kind.parse(read_text(test::reference_dir() / "model" / kind.name / "config.json"), kind.name));
  }
  return AdapterNames(adapter_parameters(config));
}

struct Expected {
  std::set<std::string> kinds;
  size_t layers = 0;
};

TEST(ReferenceAdapters, EveryTensorMatches) {
  if (!fs::exists(test::reference_dir() / "more/lora")) GTEST_SKIP() << "no reference next to the repository";
  const std::map<std::string, Expected> files = {
      {"lora.safetensors", {{"LoRA"}, 68}},
      {"lora_kohya.safetensors", {{"LoRA"}, 68}},
      {"more/lora/bf16.safetensors", {{"LoRA"}, 7}},
      {"more/lora/bundle.safetensors", {{"LoRA"}, 5}},
      {"more/lora/dora.safetensors", {{"DoRA"}, 5}},
      {"more/lora/fp32.safetensors", {{"LoRA"}, 7}},
      {"more/lora/full.safetensors", {{"full"}, 5}},
      {"more/lora/kohya.safetensors", {{"LoRA"}, 7}},
      {"more/lora/locon.safetensors", {{"LoCon", "LoRA"}, 7}},
      {"more/lora/locon_mid.safetensors", {{"LoCon"}, 3}},
      {"more/lora/loha.safetensors", {{"LoHa"}, 5}},
      {"more/lora/lokr.safetensors", {{"LoKr"}, 6}},
      {"more/lora/norm.safetensors", {{"full"}, 8}},
      {"more/lora/old_diffusers.safetensors", {{"LoRA"}, 3}},
      {"more/lora/peft_alpha.safetensors", {{"LoRA"}, 6}},
      {"more/lora/second.safetensors", {{"LoRA"}, 4}},
      {"more/lora/sgm.safetensors", {{"LoCon", "LoRA"}, 10}},
      {"more/lora/text.safetensors", {{"LoRA"}, 5}},
  };
  const AdapterNames names = reference_names();
  for (const auto& [name, expected] : files) {
    const AdapterFile file = open_model_adapter(test::reference_dir() / name, names);
    EXPECT_TRUE(file.unmatched.empty()) << name << ": " << file.unmatched.at(0);
    EXPECT_TRUE(file.left_out.empty()) << name;
    EXPECT_EQ(file.layers.size(), expected.layers) << name;
    std::set<std::string> kinds;
    for (const AdapterLayer& layer : file.layers) kinds.emplace(adapter_formula(layer).value().kind);
    EXPECT_EQ(kinds, expected.kinds) << name;
    EXPECT_EQ(file.embeddings.size(), name == "more/lora/bundle.safetensors" ? 1u : 0u) << name;
  }
}

// PEFT's and kohya's file have the same matrices, under the same parameters here. Kohya's alpha is 2, of rank 4.
TEST(ReferenceAdapters, PeftsAndKohyasNamesMeanTheSame) {
  if (!test::has_reference()) GTEST_SKIP() << "no reference next to the repository";
  const AdapterNames names = reference_names();
  const AdapterFile peft = open_model_adapter(test::reference_dir() / "lora.safetensors", names),
                    kohya = open_model_adapter(test::reference_dir() / "lora_kohya.safetensors", names);
  ASSERT_EQ(peft.layers.size(), kohya.layers.size());
  for (size_t i = 0; i < peft.layers.size(); ++i) {
    EXPECT_EQ(peft.layers[i].parameter.name, kohya.layers[i].parameter.name);
    for (const char* part : {"lora_down", "lora_up"})
      EXPECT_EQ(peft.layers[i].parts.at(part).floats(), kohya.layers[i].parts.at(part).floats()) << i;
    EXPECT_EQ(kohya.layers[i].parts.at("alpha").floats(), std::vector<float>{2});
  }
}

// The files of single-file names and of diffusers' names are of the same modules, and PEFT's alpha is that of kohya's.
TEST(ReferenceAdapters, SpellingsOfTheSameModules) {
  if (!fs::exists(test::reference_dir() / "more/lora")) GTEST_SKIP() << "no reference next to the repository";
  const AdapterNames names = reference_names();
  std::map<std::string, std::vector<float>> matrices;
  for (const char* name : {"kohya", "locon"})
    for (const AdapterLayer& layer :
         open_model_adapter(test::reference_dir() / "more/lora" / (std::string(name) + ".safetensors"), names).layers)
      matrices[layer.parameter.name] = layer.parts.at("lora_up").floats();
  for (const char* name : {"sgm", "old_diffusers", "peft_alpha"})
    for (const AdapterLayer& layer :
         open_model_adapter(test::reference_dir() / "more/lora" / (std::string(name) + ".safetensors"), names).layers) {
      EXPECT_TRUE(matrices.contains(layer.parameter.name)) << name << ": " << layer.parameter.name;
      const bool has_scale = layer.parts.contains("scale");
      EXPECT_EQ(has_scale, std::string(name) == "peft_alpha");
      if (has_scale) {
        EXPECT_EQ(layer.parts.at("scale").floats(), std::vector<float>{2.0f / 4}) << layer.parameter.name;
      }
    }
}

}  // namespace
}  // namespace tempera
