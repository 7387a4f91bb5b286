#include "adapters/adapter_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "adapters/adapter_parts.h"
#include "adapters/test_adapters.h"
#include "support/test_files.h"

namespace tempera {
namespace {

using test::adapter_of;
using test::filled;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

using Tensors = std::vector<std::pair<std::string, std::vector<int64_t>>>;
const std::string kIn = "lora_unet_conv_in.", kProj = "lora_unet_mid_block_attentions_0_proj_in.",
                  kSgmProj = "lora_unet_middle_block_1_proj_in.";

AdapterFile read(const Checkpoint& file) {
  static const AdapterNames names(test::some_parameters());
  return read_adapter(file, names, "a.safetensors");
}
AdapterFile read(const Tensors& tensors, const MadeCheckpoint::Metadata& metadata = {}) {
  return read(adapter_of(tensors, metadata));
}
std::string message_of(const Tensors& tensors, const MadeCheckpoint::Metadata& metadata = {}) {
  return bad_file_message([&] { read(tensors, metadata); });
}
AdapterFormula formula_of(const Tensors& tensors) {
  const AdapterFile file = read(tensors);
  EXPECT_THAT(file.layers, SizeIs(1));
  EXPECT_THAT(file.unmatched, IsEmpty());
  return adapter_formula(file.layers.at(0)).value();
}
std::vector<std::string> names_of(const AdapterLayer& layer) {
  std::vector<std::string> names;
  for (const auto& [name, tensor] : layer.parts) names.push_back(name);
  return names;
}

TEST(AdapterFile, SortsTensorsByParameter) {
  const AdapterFile file = read({{kProj + "lora_up.weight", {8, 2}},
                                 {kProj + "lora_down.weight", {2, 8}},
                                 {kProj + "alpha", {}},
                                 {"lora_te2_text_projection.lora_down.weight", {4, 8}},
                                 {"lora_te2_text_projection.lora_up.weight", {8, 4}},
                                 {"lora_unet_nowhere.lora_up.weight", {8, 4}},
                                 {kIn + "alpha", {}}});
  ASSERT_THAT(file.layers, SizeIs(2));
  EXPECT_EQ(file.layers[0].parameter.name, "mid_block.attentions.0.proj_in.weight");
  EXPECT_EQ(file.layers[0].parameter.dims, (std::vector<int64_t>{8, 8}));
  EXPECT_THAT(names_of(file.layers[0]), ElementsAre("alpha", "lora_down", "lora_up"));
  EXPECT_EQ(file.layers[0].origin, "'" + kProj + "alpha' of the test");
  EXPECT_EQ(file.layers[1].parameter.component, "text_encoder_2");
  EXPECT_EQ(file.matched, 5u);
  // An alpha alone changes nothing.
  EXPECT_THAT(file.unmatched, ElementsAre(kIn + "alpha", "lora_unet_nowhere.lora_up.weight"));
}

struct Kind {
  std::string_view kind;
  int64_t rank;
  Tensors tensors;
};

TEST(AdapterFile, RecognisesEveryFormula) {
  const std::vector<Kind> kinds = {
      {"LoRA", 2, {{kProj + "lora_down.weight", {2, 8}}, {kProj + "lora_up.weight", {8, 2}}}},
      {"LoCon", 2, {{kIn + "lora_down.weight", {2, 4, 3, 3}}, {kIn + "lora_up.weight", {8, 2, 1, 1}}}},
      {"LoCon",
       3,
       {{kIn + "lora_down.weight", {3, 4, 1, 1}},
        {kIn + "lora_mid.weight", {3, 3, 3, 3}},
        {kIn + "lora_up.weight", {8, 3, 1, 1}}}},
      {"DoRA",
       2,
       {{kProj + "lora_down.weight", {2, 8}}, {kProj + "lora_up.weight", {8, 2}}, {kProj + "dora_scale", {8, 1}}}},
      {"LoHa",
       3,
       {{kProj + "hada_w1_a", {8, 3}},
        {kProj + "hada_w1_b", {3, 8}},
        {kProj + "hada_w2_a", {8, 3}},
        {kProj + "hada_w2_b", {3, 8}}}},
      {"LoHa",
       3,
       {{kIn + "hada_w1_a", {3, 8}},
        {kIn + "hada_w1_b", {3, 4}},
        {kIn + "hada_w2_a", {3, 8}},
        {kIn + "hada_w2_b", {3, 4}},
        {kIn + "hada_t1", {3, 3, 3, 3}},
        {kIn + "hada_t2", {3, 3, 3, 3}}}},
      {"LoKr", 0, {{kProj + "lokr_w1", {2, 2}}, {kProj + "lokr_w2", {4, 4}}}},
      {"LoKr", 3, {{kProj + "lokr_w1", {2, 2}}, {kProj + "lokr_w2_a", {4, 3}}, {kProj + "lokr_w2_b", {3, 4}}}},
      {"LoKr", 1, {{kProj + "lokr_w1_a", {2, 1}}, {kProj + "lokr_w1_b", {1, 2}}, {kProj + "lokr_w2", {4, 4}}}},
      {"GLoRA",
       2,
       {{kProj + "a1.weight", {2, 8}},
        {kProj + "a2.weight", {8, 2}},
        {kProj + "b1.weight", {2, 8}},
        {kProj + "b2.weight", {8, 2}}}},
      {"IA3", 0, {{kProj + "weight", {8, 1}}, {kProj + "on_input", {}}}},
      {"OFT", 0, {{kProj + "oft_blocks", {2, 4, 4}}, {kProj + "alpha", {1}}}},
      {"OFT", 0, {{kProj + "oft_diag", {2, 4, 4}}}},
      {"OFT", 0, {{kProj + "oft_blocks", {2, 4, 4}}, {kProj + "rescale", {8, 1}}}},
      {"full", 0, {{kIn + "diff", {8, 4, 3, 3}}}},
      {"full", 0, {{kIn + "diff_b", {8}}}},
      {"full", 0, {{"lora_unet_down_blocks_1_attentions_0_transformer_blocks_0_norm1.w_norm", {8}}}},
  };
  for (const Kind& expected : kinds) {
    const AdapterFormula formula = formula_of(expected.tensors);
    EXPECT_EQ(formula.kind, expected.kind) << expected.tensors[0].first;
    EXPECT_EQ(formula.rank, expected.rank) << expected.tensors[0].first;
  }
}

TEST(AdapterFile, ABiasIsALayerOfItsOwn) {
  const AdapterFile file = read({{kIn + "diff", {8, 4, 3, 3}}, {kIn + "diff_b", {8}}});
  ASSERT_THAT(file.layers, SizeIs(2));
  EXPECT_EQ(file.layers[0].parameter.name, "conv_in.bias");
  EXPECT_EQ(file.layers[1].parameter.name, "conv_in.weight");
}

TEST(AdapterFile, OnInputIsANumber) {
  static constexpr bool kTrue[] = {true};
  CheckpointTensor flag{
      DType::boolean, {}, std::make_shared<StoredElements>(DType::boolean, std::as_bytes(std::span(kTrue)))};
  const AdapterFile file = read(MadeCheckpoint({{kProj + "on_input", flag}, {kProj + "weight", filled({1, 8})}}, "x"));
  EXPECT_THAT(file.layers.at(0).parts.at("on_input").floats(), ElementsAre(1));
}

TEST(AdapterFile, WholeWeightsAreNoAdapter) {
  const AdapterFile file = read({{"conv_in.weight", {8, 4, 3, 3}}, {"conv_in.bias", {8}}});
  EXPECT_THAT(file.layers, IsEmpty());
  EXPECT_EQ(file.matched, 0u);
  EXPECT_THAT(file.unmatched, ElementsAre("conv_in.bias", "conv_in.weight"));
}

TEST(AdapterFile, OfTwoSpellingsDiffusersIsUsed) {
  const Tensors both = {
      {kProj + "diff", {8, 8}}, {kSgmProj + "diff", {8, 8}}, {"lora_unet_input_blocks_0_0.diff_b", {8}}};
  const AdapterFile file = read(both);
  ASSERT_THAT(file.layers, SizeIs(1));
  EXPECT_EQ(file.layers[0].origin, "'" + kProj + "diff' of the test");
  EXPECT_THAT(file.left_out, ElementsAre("lora_unet_input_blocks_0_0.diff_b", kSgmProj + "diff"));
  EXPECT_EQ(file.matched, 1u);
  EXPECT_THAT(read({both[1], both[2]}).layers, SizeIs(2));
}

TEST(AdapterFile, EmbeddingsOfABundle) {
  const AdapterFile file = read({{"bundle_emb.a.word.clip_l", {2, 8}},
                                 {"bundle_emb.a.word.clip_g", {2, 16}},
                                 {"bundle_emb.other.string_to_param.*", {8}},
                                 {"bundle_emb.clip_l", {2, 8}},
                                 {"bundle_emb.x.unknown", {2, 8}}});
  ASSERT_THAT(file.embeddings, SizeIs(2));
  EXPECT_EQ(file.embeddings.at("a.word").at("clip_g").dims, (std::vector<int64_t>{2, 16}));
  EXPECT_TRUE(file.embeddings.at("other").contains("string_to_param"));
  EXPECT_EQ(file.matched, 3u);
  EXPECT_THAT(file.unmatched, ElementsAre("bundle_emb.clip_l", "bundle_emb.x.unknown"));
  EXPECT_THAT(message_of({{"bundle_emb.x.clip_l", {}}}), HasSubstr("'bundle_emb.x.clip_l'"));
  EXPECT_THAT(message_of({{"bundle_emb.x.clip_l", {0, 8}}}), HasSubstr("0x8"));
  EXPECT_THAT(message_of({{"bundle_emb.x.string_to_param.*", {8}}, {"bundle_emb.x.string_to_param", {8}}}),
              HasSubstr("two names"));
}

TEST(AdapterFile, MissingPartnersAreErrors) {
  const std::vector<std::pair<std::string, std::vector<std::string>>> cases = {
      {"lora_up", {"lora_down"}},
      {"lora_down", {"lora_up"}},
      {"lora_down", {"lora_mid"}},
      {"lora_down", {"dora_scale"}},
      {"hada_w2_b", {"hada_w1_a", "hada_w1_b", "hada_w2_a"}},
      {"hada_t2", {"hada_w1_a", "hada_w1_b", "hada_w2_a", "hada_w2_b", "hada_t1"}},
      {"lokr_w2", {"lokr_w1"}},
      {"lokr_w1", {"lokr_w2"}},
      {"lokr_w1_b", {"lokr_w1_a", "lokr_w2"}},
      {"lokr_w2_a", {"lokr_w1", "lokr_w2", "lokr_t2"}},
      {"b2", {"a1", "a2", "b1"}},
      {"weight", {"on_input"}},
  };
  for (const auto& [missing, parts] : cases) {
    Tensors tensors;
    for (const std::string& part : parts) {
      const bool tucker = part == "lora_mid" || part == "hada_t1" || part == "lokr_t2";
      tensors.push_back({kIn + part, tucker ? std::vector<int64_t>{2, 2, 3, 3} : std::vector<int64_t>{2, 2}});
      if (part == "on_input") tensors.back().second = {};
    }
    EXPECT_THAT(message_of(tensors),
                testing::AllOf(HasSubstr(missing + " of 'conv_in.weight' is missing"), HasSubstr(kIn)));
  }
}

TEST(AdapterFile, ContradictionsAreErrors) {
  const Tensors lora = {{kProj + "lora_down.weight", {2, 8}}, {kProj + "lora_up.weight", {8, 2}}};
  Tensors two = lora;
  two.push_back({kProj + "diff", {8, 8}});
  EXPECT_THAT(message_of(two), HasSubstr("parts of two formulas"));
  two = lora;
  two.push_back({"unet.mid_block.attentions.0.proj_in.lora_A.weight", {2, 8}});
  EXPECT_THAT(message_of(two), HasSubstr("the same part of one parameter"));
  EXPECT_THAT(message_of({{kProj + "lokr_w1", {2, 2}},
                          {kProj + "lokr_w1_a", {2, 1}},
                          {kProj + "lokr_w1_b", {1, 2}},
                          {kProj + "lokr_w2", {4, 4}}}),
              HasSubstr("both lokr_w1 and lokr_w1_a"));
  EXPECT_THAT(message_of({{kProj + "oft_blocks", {2, 4, 4}}, {kProj + "oft_diag", {2, 4, 4}}}), HasSubstr("both"));
  EXPECT_THAT(message_of({{kProj + "rescale", {8, 1}}}), HasSubstr("oft_blocks of"));
}

TEST(AdapterFile, ShapesThatAPartCannotHaveAreErrors) {
  const Tensors lora = {
      {kProj + "lora_down.weight", {2, 8}}, {kProj + "lora_up.weight", {8, 2}}, {kProj + "alpha", {}}};
  for (const std::vector<int64_t>& dims : {std::vector<int64_t>{}, {8}, {0, 8}, {2, 0}, {2, 8, 1, 1, 1, 1}}) {
    for (size_t i = 0; i < 2; ++i) {
      Tensors broken = lora;
      broken[i].second = dims;
      EXPECT_THAT(message_of(broken), HasSubstr("'" + lora[i].first + "' of the test has the shape"));
    }
  }
  for (const std::vector<int64_t>& dims : {std::vector<int64_t>{2}, {0}, {2, 1}}) {
    Tensors broken = lora;
    broken[2].second = dims;
    EXPECT_THAT(message_of(broken), HasSubstr("must be one number"));
  }
}

TEST(AdapterFile, NumbersMustBeFiniteAndWeightsNumbers) {
  for (const float value : {std::numeric_limits<float>::infinity(), std::nanf("")}) {
    const std::string message = bad_file_message([&] {
      read(MadeCheckpoint({{kProj + "alpha", filled({}, value)},
                           {kProj + "lora_down.weight", filled({2, 8})},
                           {kProj + "lora_up.weight", filled({8, 2})}},
                          "x"));
    });
    EXPECT_THAT(message, HasSubstr("must be a finite number"));
  }
  CheckpointTensor flags = filled({2, 8});
  flags.dtype = DType::boolean;
  const std::string message = bad_file_message([&] {
    read(MadeCheckpoint({{kProj + "lora_down.weight", flags}, {kProj + "lora_up.weight", filled({8, 2})}}, "x"));
  });
  EXPECT_THAT(message, HasSubstr("is of type bool"));
}

// alpha / rank as PEFT computes it, from the configuration in the metadata.
TEST(AdapterFile, ScalesOfPeft) {
  const Tensors tensors = {{"unet.conv_in.lora_A.weight", {4, 4, 3, 3}},
                           {"unet.conv_in.lora_B.weight", {8, 4, 1, 1}},
                           {"unet.mid_block.attentions.0.proj_in.lora_A.weight", {2, 8}},
                           {"unet.mid_block.attentions.0.proj_in.lora_B.weight", {8, 2}},
                           {"text_encoder.text_model.encoder.layers.0.self_attn.q_proj.lora_A.weight", {2, 8}},
                           {"text_encoder.text_model.encoder.layers.0.self_attn.q_proj.lora_B.weight", {8, 2}}};
  const auto scales = [&](const std::string& config) {
    std::map<std::string, float> result;
    for (const AdapterLayer& layer : read(tensors, {{"lora_adapter_metadata", config}}).layers)
      if (const auto scale = layer.parts.find("scale"); scale != layer.parts.end())
        result[layer.parameter.name] = scale->second.floats()[0];
    return result;
  };
  const std::string in = "conv_in.weight", proj = "mid_block.attentions.0.proj_in.weight",
                    text = "text_model.encoder.layers.0.self_attn.q_proj.weight";
  using Scales = std::map<std::string, float>;
  EXPECT_EQ(scales(R"({"unet.r": 4, "unet.lora_alpha": 8})"), (Scales{{in, 2}, {proj, 4}}));
  EXPECT_EQ(scales(R"({"unet.lora_alpha": 8, "text_encoder.lora_alpha": 1})"),
            (Scales{{in, 2}, {proj, 4}, {text, 0.5f}}));
  EXPECT_EQ(scales(R"({"unet.lora_alpha": 8, "unet.use_rslora": true})"),
            (Scales{{in, 4}, {proj, static_cast<float>(8 / std::sqrt(2))}}));
  for (const char* pattern :
       {"proj_in", "mid_block.attentions.0.proj_in", "^mid_block.attentions.0.proj_in", "0.proj_in$"})
    EXPECT_EQ(scales(fmt::format(R"({{"unet.lora_alpha": 8, "unet.alpha_pattern": {{"{}": 1}}}})", pattern)),
              (Scales{{in, 2}, {proj, 0.5f}}));
  for (const char* pattern : {"roj_in", "^proj_in", "attentions"})
    EXPECT_EQ(scales(fmt::format(R"({{"unet.lora_alpha": 8, "unet.alpha_pattern": {{"{}": 1}}}})", pattern)),
              (Scales{{in, 2}, {proj, 4}}));
  EXPECT_EQ(scales("{}"), Scales{});
}

TEST(AdapterFile, AnAlphaInTheFileIsUsedBeforePeftsConfiguration) {
  const AdapterFile file = read({{"unet.conv_in.lora_A.weight", {4, 4, 3, 3}},
                                 {"unet.conv_in.lora_B.weight", {8, 4, 1, 1}},
                                 {"unet.conv_in.alpha", {}}},
                                {{"lora_adapter_metadata", R"({"unet.lora_alpha": 8})"}});
  EXPECT_THAT(names_of(file.layers.at(0)), ElementsAre("alpha", "lora_down", "lora_up"));
}

TEST(AdapterFile, BrokenConfigurationsOfPeftAreErrors) {
  const Tensors lora = {{"unet.conv_in.lora_A.weight", {4, 4, 3, 3}}, {"unet.conv_in.lora_B.weight", {8, 4, 1, 1}}};
  for (const char* config :
       {"", "[]", "{", R"({"unet.lora_alpha": "8"})", R"({"unet.lora_alpha": 8, "unet.use_rslora": 1})",
        R"({"unet.alpha_pattern": [1]})", R"({"unet.alpha_pattern": {"conv_in": "8"}})",
        R"({"unet.alpha_pattern": {"conv_.*": 8}})", R"({"unet.alpha_pattern": {"": 8}})",
        R"({"unet.alpha_pattern": {"conv_in": 8, "^conv_in": 4}})", R"({"unet.lora_alpha": 1e999})"}) {
    EXPECT_THAT(message_of(lora, {{"lora_adapter_metadata", config}}),
                HasSubstr("a.safetensors (lora_adapter_metadata)"))
        << config;
  }
}

// Through a file, with other element types.
TEST(AdapterFile, OpensSafetensorsOfEveryFloatingPointType) {
  const TemporaryFolder folder;
  for (const DType dtype : {DType::f32, DType::f16, DType::bf16, DType::f8_e4m3}) {
    const auto path = folder / "lora.safetensors";
    const auto zeros = [&](const std::string& name, std::vector<int64_t> dims) {
      const TensorSpec spec{name, dtype, std::move(dims)};
      return std::pair(spec, std::vector<std::byte>(spec.bytes()));
    };
    write_safetensors(path, {zeros(kProj + "lora_down.weight", {2, 8}), zeros(kProj + "lora_up.weight", {8, 2})});
    const AdapterFile file = open_adapter(path, AdapterNames(test::some_parameters()));
    ASSERT_THAT(file.layers, SizeIs(1));
    EXPECT_EQ(file.layers[0].parts.at("lora_up").dtype, dtype);
    EXPECT_THAT(file.layers[0].origin, HasSubstr(path.string()));
  }
}

}  // namespace
}  // namespace tempera
