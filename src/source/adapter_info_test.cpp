#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/test_files.h"
#include "tempera/models.h"

namespace tempera {
namespace {

using ::testing::ElementsAre;
using ::testing::Pair;
using ::testing::SizeIs;

class AdapterInfos : public ::testing::Test {
 protected:
  std::filesystem::path write(const std::vector<std::pair<std::string, std::vector<int64_t>>>& tensors,
                              const std::map<std::string, std::string>& metadata = {}) const {
    std::vector<TensorSpec> specs;
    specs.reserve(tensors.size());
    for (const auto& [name, dims] : tensors) specs.push_back({name, DType::f16, dims});
    SafetensorsWriter writer(folder_ / "style.safetensors", specs, metadata);
    for (const TensorSpec& spec : specs) writer.append(std::vector<std::byte>(spec.bytes()));
    writer.commit();
    return folder_ / "style.safetensors";
  }
  static std::optional<AdapterInfo> info_of(const std::filesystem::path& path) {
    EngineOptions engine;
    engine.model = path.string();
    return adapter_info(engine);
  }

  TemporaryFolder folder_;
};

TEST_F(AdapterInfos, OfALora) {
  const std::string q = "lora_unet_down_blocks_1_attentions_0_transformer_blocks_0_attn2_to_k.";
  const auto info = info_of(write({{q + "lora_down.weight", {16, 2048}},
                                   {q + "lora_up.weight", {640, 16}},
                                   {"lora_unet_conv_in.lora_down.weight", {4, 4, 3, 3}},
                                   {"lora_unet_conv_in.lora_up.weight", {320, 4, 1, 1}},
                                   {"lora_unet_conv_in.diff_b", {320}},
                                   {"lora_te2_text_projection.diff", {1280, 1280}},
                                   {"lora_unet_nowhere.alpha", {}},
                                   {"bundle_emb.a.b.clip_l", {3, 768}},
                                   {"bundle_emb.a.b.clip_g", {2, 1280}}},
                                  {{"ss_base_model_version", "sdxl_base_v1-0"},
                                   {"ss_network_dim", "16"},
                                   {"modelspec.trigger_phrase", "in my style"}}));
  ASSERT_TRUE(info);
  EXPECT_EQ(info->model.kind, "lora");
  EXPECT_EQ(info->model.base, "SDXL");
  EXPECT_THAT(info->model.trigger_words, ElementsAre("in my style"));
  EXPECT_EQ(info->model.metadata.at("ss_network_dim"), "16");
  EXPECT_THAT(info->formulas, ElementsAre("LoCon", "LoRA", "full"));
  EXPECT_EQ(info->least_rank, 4);
  EXPECT_EQ(info->largest_rank, 16);
  ASSERT_THAT(info->components, SizeIs(2));
  EXPECT_EQ(info->components[0].name, "unet");
  EXPECT_EQ(info->components[0].parameters, 3u);
  EXPECT_EQ(info->components[0].elements, 640u * 2048 + 320 * 4 * 9 + 320);
  EXPECT_EQ(info->components[1].name, "text_encoder_2");
  EXPECT_EQ(info->components[1].elements, 1280u * 1280);
  EXPECT_EQ(info->matched, 8u);
  EXPECT_THAT(info->unmatched, ElementsAre("lora_unet_nowhere.alpha"));
  ASSERT_THAT(info->embeddings, SizeIs(1));
  EXPECT_EQ(info->embeddings[0].word, "a.b");
  EXPECT_THAT(info->embeddings[0].vectors, ElementsAre(Pair("text_encoder", 3), Pair("text_encoder_2", 2)));
}

TEST_F(AdapterInfos, OfAnAdapterOfAnotherFamily) {
  const auto info = info_of(write({{"lora_unet_down_blocks_9_attn2_to_k.lora_down.weight", {4, 768}}}));
  ASSERT_TRUE(info);
  EXPECT_EQ(info->model.base, "Stable Diffusion 1");
  EXPECT_EQ(info->matched, 0u);
  EXPECT_THAT(info->components, SizeIs(0));
}

TEST_F(AdapterInfos, OfAnEmbedding) {
  const auto info = info_of(write({{"clip_l", {3, 768}}, {"clip_g", {3, 1280}}}));
  ASSERT_TRUE(info);
  EXPECT_EQ(info->model.kind, "embedding");
  ASSERT_THAT(info->embeddings, SizeIs(1));
  EXPECT_EQ(info->embeddings[0].word, "style");
  EXPECT_THAT(info->embeddings[0].vectors, ElementsAre(Pair("text_encoder", 3), Pair("text_encoder_2", 3)));
  EXPECT_THAT(info_of(write({{"emb_params", {2, 768}}}))->embeddings[0].vectors, ElementsAre(Pair("text_encoder", 2)));
}

TEST_F(AdapterInfos, OtherFilesHaveNone) {
  EXPECT_FALSE(info_of(write({{"decoder.layers.0.weight", {4, 4, 3, 3}}})));
  EXPECT_FALSE(info_of(folder_.path()));
  EXPECT_FALSE(adapter_info({}));
}

TEST_F(AdapterInfos, AMalformedAdapterIsAnError) {
  const auto path = write({{"lora_unet_conv_in.lora_up.weight", {320, 4, 1, 1}}});
  EXPECT_THAT(bad_file_message([&] { info_of(path); }), ::testing::HasSubstr("lora_down"));
}

}  // namespace
}  // namespace tempera
