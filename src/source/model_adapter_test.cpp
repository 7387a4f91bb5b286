#include "source/model_adapter.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "models/components.h"
#include "source/test_models.h"
#include "support/test_files.h"
#include "weights/safetensors.h"

namespace tempera {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

std::string underscored(std::string text) {
  std::ranges::replace(text, '.', '_');
  return text;
}

// Modules of the parameters that end in ".weight", of one component.
std::vector<const ModelParameter*> weights_of(const std::vector<ModelParameter>& parameters,
                                              std::string_view component) {
  std::vector<const ModelParameter*> result;
  for (const ModelParameter& parameter : parameters)
    if (parameter.component == component && parameter.name.ends_with(".weight")) result.push_back(&parameter);
  return result;
}
std::string module_of(const std::string& name) {
  return name.substr(0, name.rfind('.'));
}

TEST(ModelAdapter, HasAllParametersThatAdaptersChange) {
  const ModelConfig model = sdxl_base();
  const std::vector<ModelParameter> all = adapter_parameters(model);
  EXPECT_EQ(all.size(), parameters_of(model.unet).size() + parameters_of(*model.text_encoder).size() +
                            parameters_of(model.text_encoder_2).size());
  for (const ModelParameter& parameter : all) EXPECT_FALSE(parameter.dims.empty()) << parameter.name;
}

// No two modules share a name with '_', and each spelling leads back to its parameter.
TEST(ModelAdapter, EverySpellingOfEveryModuleIsFound) {
  for (const ModelConfig& model : {sdxl_base(), sdxl_refiner(), ssd_1b(), small_model()}) {
    const std::vector<ModelParameter> all = adapter_parameters(model);
    const AdapterNames names(all);
    std::set<std::string> keys;
    const auto expect_found = [&](const std::string& key, const ModelParameter& parameter) {
      EXPECT_TRUE(keys.insert(key).second) << key;
      const auto place = names.find(key);
      ASSERT_TRUE(place) << key;
      EXPECT_EQ(names.parameters()[place->parameter].name, parameter.name) << key;
      EXPECT_EQ(names.parameters()[place->parameter].component, parameter.component) << key;
    };
    for (const auto& [component, prefix] :
         {std::pair("unet", "lora_unet_"), {"text_encoder", "lora_te1_"}, {"text_encoder_2", "lora_te2_"}}) {
      for (const ModelParameter* parameter : weights_of(all, component)) {
        const std::string module = module_of(parameter->name);
        expect_found(prefix + underscored(module) + ".lora_down.weight", *parameter);
        expect_found(std::string(component) + "." + module + ".lora_A.weight", *parameter);
        if (std::string(component) != "unet") continue;
        ASSERT_NE(parameter->ldm_name, "") << parameter->name;
        // transformer blocks have equal names below their place, but the place differs
        expect_found(prefix + underscored(module_of(parameter->ldm_name)) + ".lora_down.weight", *parameter);
      }
    }
  }
}

TEST(ModelAdapter, NamesOfSingleFilesAreThoseOfPublishedLoras) {
  const std::vector<ModelParameter> all = adapter_parameters(sdxl_base());
  const AdapterNames names(all);
  const auto name_of = [&](const char* key) {
    const auto place = names.find(key);
    return place ? all[place->parameter].name : std::string();
  };
  EXPECT_EQ(name_of("lora_unet_input_blocks_4_1_transformer_blocks_0_attn1_to_q.lora_down.weight"),
            "down_blocks.1.attentions.0.transformer_blocks.0.attn1.to_q.weight");
  EXPECT_EQ(name_of("lora_unet_output_blocks_2_2_conv.lora_down.weight"), "up_blocks.0.upsamplers.0.conv.weight");
  EXPECT_EQ(name_of("lora_unet_middle_block_1_transformer_blocks_9_ff_net_0_proj.alpha"),
            "mid_block.attentions.0.transformer_blocks.9.ff.net.0.proj.weight");
  EXPECT_EQ(name_of("lora_unet_label_emb_0_0.alpha"), "add_embedding.linear_1.weight");
  EXPECT_EQ(name_of("lora_unet_out_2.alpha"), "conv_out.weight");
  EXPECT_EQ(name_of("lora_unet_input_blocks_3_0_op.alpha"), "down_blocks.0.downsamplers.0.conv.weight");
}

class AdapterFiles : public ::testing::Test {
 protected:
  std::filesystem::path write(const std::vector<std::pair<std::string, std::vector<int64_t>>>& tensors,
                              const std::map<std::string, std::string>& metadata = {}) const {
    std::vector<TensorSpec> specs;
    specs.reserve(tensors.size());
    for (const auto& [name, dims] : tensors) specs.push_back({name, DType::f16, dims});
    SafetensorsWriter writer(folder_ / "a.safetensors", specs, metadata);
    for (const TensorSpec& spec : specs) writer.append(std::vector<std::byte>(spec.bytes()));
    writer.commit();
    return folder_ / "a.safetensors";
  }
  std::string message_of(const std::filesystem::path& path) const {
    return bad_file_message([&] { open_model_adapter(path, names_); });
  }

  TemporaryFolder folder_;
  AdapterNames names_{adapter_parameters(small_model())};
};

TEST_F(AdapterFiles, WithoutAMatchTheErrorNamesTheBaseModel) {
  const std::string down = "lora_unet_down_blocks_9_attentions_0_transformer_blocks_0_attn2_to_k.lora_down.weight";
  EXPECT_THAT(message_of(write({{down, {4, 768}}})),
              AllOf(HasSubstr("a.safetensors"), HasSubstr("a LoRA for Stable Diffusion 1"), HasSubstr("lora")));
  EXPECT_THAT(message_of(write({{down, {4, 1024}}})), HasSubstr("a LoRA for Stable Diffusion 2"));
  EXPECT_THAT(message_of(write({{"lora_unet_x.lora_down.weight", {4, 4}}}, {{"ss_base_model_version", "sd_v1"}})),
              HasSubstr("a LoRA for Stable Diffusion 1"));
  EXPECT_THAT(message_of(write({{"lora_unet_x.hada_w1_a", {4, 4}}}, {{"modelspec.architecture", "flux-1-dev/lora"}})),
              HasSubstr("a LoRA for Flux"));
  EXPECT_THAT(message_of(write({{"clip_l", {1, 768}}, {"clip_g", {1, 1280}}})),
              HasSubstr("a textual inversion embedding for SDXL"));
}

TEST_F(AdapterFiles, ABundleOfEmbeddingsAloneIsAnAdapter) {
  EXPECT_EQ(open_model_adapter(write({{"bundle_emb.w.clip_l", {1, 64}}}), names_).matched, 1u);
}

TEST_F(AdapterFiles, ErrorsOfFilesNameTheFile) {
  EXPECT_THAT(message_of(write({{"lora_unet_conv_in.lora_up.weight", {64, 4, 1, 1}}})),
              AllOf(HasSubstr("a.safetensors"), HasSubstr("lora_unet_conv_in.lora_up.weight"), HasSubstr("lora_down")));
  write_file(folder_ / "b.pt", "PK\x03\x04");
  EXPECT_THAT(message_of(folder_ / "b.pt"), HasSubstr("pickle"));
  EXPECT_NE(message_of(folder_ / "none.safetensors"), "");
}

}  // namespace
}  // namespace tempera
