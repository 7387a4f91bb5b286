#include "models_output.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "adapter_output.h"

namespace tempera::cli {
namespace {

using testing::HasSubstr;

const ModelEntry kLora = {.name = "caf\xc3\xa9.safetensors",
                          .path = "/m/loras/caf\xc3\xa9.safetensors",
                          .kind = "lora",
                          .base = "SDXL",
                          .dtypes = {"f16", "f32"},
                          .bytes = 2048,
                          .trigger_words = {"a\x1b[31mred", "b"},
                          .sha256 = std::string(60, 'a') + "bcde",
                          .notes = {"it is in a folder for vae"},
                          .metadata = {{"ss_output_name", std::string(300, 'x')}}};
const ModelEntry kCheckpoint = {.name = "base", .kind = "checkpoint", .base = "SDXL", .prediction = "v_prediction"};

TEST(ModelsOutput, TableHasALineForEachModel) {
  EXPECT_EQ(models_table({kLora, kCheckpoint}),
            "name              kind        base                stored as  size      hash        trigger words\n"
            "caf\xc3\xa9.safetensors  lora        SDXL                f16, f32   2.00 KiB  aaaaaaaaaa  a [31mred, b\n"
            "  note: it is in a folder for vae\n"
            "base              checkpoint  SDXL, v_prediction             0 B\n");
  EXPECT_THAT(models_table({}), HasSubstr("--models-dir"));
}

TEST(ModelsOutput, OneModelHasItsMetadata) {
  const std::string text = model_text(kLora);
  EXPECT_THAT(text, HasSubstr("SHA-256       " + kLora.sha256 + "\n"));
  EXPECT_THAT(text, HasSubstr("ss_output_name: " + std::string(200, 'x') + "...\n"));
  EXPECT_EQ(model_json(kLora).at("metadata").at("ss_output_name"), std::string(300, 'x'));
  EXPECT_EQ(model_json(kLora).at("hash"), "aaaaaaaaaa");
  EXPECT_EQ(models_json({kLora}).at("models").size(), 1u);
}

// An adapter has the lines and the JSON of `tempera models info`, and more.
TEST(ModelsOutput, AnAdapterHasItsChangesToo) {
  const AdapterInfo info{.model = kLora,
                         .formulas = {"LoCon", "LoRA"},
                         .least_rank = 4,
                         .largest_rank = 16,
                         .components = {{"unet", 2, 2'500'000}},
                         .matched = 6,
                         .unmatched = {"x.alpha"},
                         .embeddings = {{"w\x1b", {{"text_encoder", 3}}}}};
  ModelEntry entry = kLora;
  entry.metadata.clear();
  const std::string text = adapter_text(info);
  EXPECT_THAT(text, testing::StartsWith(model_text(entry) + "formulas      LoCon, LoRA\n"));
  for (const char* line : {"rank          4 to 16\n", "changes       unet: 2 parameters with 2.50 M elements\n",
                           "embeddings    w  (vectors: 3 in text_encoder)\n", "tensors       6 match SDXL, 1 do not\n",
                           "ss_output_name: xxx"})
    EXPECT_THAT(text, HasSubstr(line));
  const nlohmann::ordered_json json = adapter_json(info), model = model_json(kLora);
  for (const auto& [key, value] : model.items()) EXPECT_EQ(json.at(key), value) << key;
  EXPECT_EQ(json.at("components").at(0).at("elements"), 2'500'000);
  EXPECT_EQ(json.at("embeddings").at(0).at("vectors").at("text_encoder"), 3);
  EXPECT_EQ(json.at("unmatched").at(0), "x.alpha");
}

TEST(ModelsOutput, ChecksEndWithTheirResult) {
  ModelCheck check{.model = kLora, .sha256 = {{kLora.path, kLora.sha256}}, .tensors = 2, .elements = 9};
  EXPECT_THAT(check_text(check), testing::EndsWith("2 tensors with 9 elements were read\nno faults\n"));
  check.faults = {"x has 1 NaN"};
  EXPECT_THAT(check_text(check), testing::EndsWith("fault: x has 1 NaN\n"));
  EXPECT_EQ(check_json(check).at("good"), false);
}

}  // namespace
}  // namespace tempera::cli
