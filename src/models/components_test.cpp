// A component's row leads to all that differs by component.
#include "models/components.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "models/config_writer.h"

namespace tempera {
namespace {
using nlohmann::json;
using testing::ElementsAre;
using testing::HasSubstr;

std::vector<std::string_view> names(const NamedConfigs& configs) {
  std::vector<std::string_view> names;
  for (const auto& [name, config] : configs) names.push_back(name);
  return names;
}

TEST(Components, AreKnownByName) {
  for (const ComponentKind& kind : component_kinds()) EXPECT_EQ(&component_kind(kind.name), &kind) << kind.name;
  try {
    component_kind("controlnet");
    ADD_FAILURE() << "no error";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::internal);
  }
}

TEST(Components, OfModels) {
  EXPECT_THAT(names(component_configs(sdxl_base())), ElementsAre("text_encoder", "text_encoder_2", "unet", "vae"));
  EXPECT_THAT(names(component_configs(sdxl_refiner())), ElementsAre("text_encoder_2", "unet", "vae"));
}

TEST(Components, WeightFilesAsDiffusersNamesThem) {
  EXPECT_EQ(component_kind("text_encoder").weights_stem(), "model");
  EXPECT_EQ(component_kind("text_encoder_2").weights_stem(), "model");
  EXPECT_EQ(component_kind("unet").weights_stem(), "diffusion_pytorch_model");
  EXPECT_EQ(component_kind("vae").weights_stem(), "diffusion_pytorch_model");
  EXPECT_EQ(component_kind("vae_tiny").weights_stem(), "diffusion_pytorch_model");
}

// A model's configuration is the sum of its components' files.
TEST(Components, ConfigurationsAreWrittenAndReadAgain) {
  for (const std::string_view name : preset_names()) {
    const ModelConfig model = preset(name);
    ModelConfig read = model;
    read.text_encoder.reset();
    read.text_encoder_2 = {};
    read.unet = {};
    read.vae = {};
    for (const auto& [component, config] : component_configs(model)) {
      const ComponentKind& kind = component_kind(component);
      kind.set(read, kind.parse(config_json(config), name));
    }
    EXPECT_EQ(read, model) << name;
    const ComponentConfig tiny = tiny_vae_preset(name);
    EXPECT_EQ(component_kind("vae_tiny").parse(config_json(tiny), name), tiny) << name;
  }
}

TEST(Components, ChecksAreThoseOfTheType) {
  UnetConfig unet = sdxl_base().unet;
  unet.in_channels = 0;
  try {
    check_config(unet, "x");
    ADD_FAILURE() << "no error";
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), HasSubstr("in_channels is 0"));
  }
}

// As published: the number of tensors in each file of stable-diffusion-xl-base-1.0.
TEST(Components, ParametersAreThoseOfTheFiles) {
  const ModelConfig model = sdxl_base();
  EXPECT_EQ(parameters_of(*model.text_encoder).size(), 196u);
  EXPECT_EQ(parameters_of(model.text_encoder_2).size(), 517u);
  EXPECT_EQ(parameters_of(model.unet).size(), 1680u);
  EXPECT_EQ(parameters_of(model.vae).size(), 248u);
}

// The sizes of the UNets that the papers give (KOALA: arXiv 2312.04005, table 1; SSD-1B and Vega: arXiv 2401.02677).
TEST(Components, SizesOfDistilledModels) {
  const auto millions = [](const ModelConfig& model) {
    double elements = 0;
    for (const Parameter& parameter : parameters_of(model.unet))
      elements += static_cast<double>(parameter.shape.elements());
    return elements / 1e6;
  };
  EXPECT_NEAR(millions(sdxl_base()), 2567, 1);
  EXPECT_NEAR(millions(koala_1b()), 1161, 1);
  EXPECT_NEAR(millions(koala_700m()), 782, 1);
  EXPECT_NEAR(millions(ssd_1b()), 1300, 50);
  EXPECT_NEAR(millions(segmind_vega()), 740, 10);
}

TEST(Components, Summaries) {
  const ModelConfig model = sdxl_base();
  EXPECT_EQ(summary(*model.text_encoder), "12 layers of 768 channels, 12 heads, 77 tokens");
  EXPECT_EQ(summary(model.text_encoder_2), "32 layers of 1280 channels, 20 heads, 77 tokens");
  EXPECT_EQ(summary(model.unet),
            "320 channels x 2 resnets, 0+0 transformer layers; 640 channels x 2 resnets, 2+2 transformer layers; "
            "1280 channels x 2 resnets, 10+10 transformer layers");
  EXPECT_EQ(summary(model.vae), "128/256/512/512 channels, 4 latent, scaling factor 0.13025");
  EXPECT_THAT(summary(TinyVaeConfig()), HasSubstr("64/64/64/64 channels"));
}

TEST(Components, IndexAsPublished) {
  EXPECT_EQ(json::parse(model_index_json(sdxl_base(), "EulerDiscreteScheduler")), json::parse(R"({
    "_class_name": "StableDiffusionXLPipeline",
    "force_zeros_for_empty_prompt": true,
    "scheduler": ["diffusers", "EulerDiscreteScheduler"],
    "text_encoder": ["transformers", "CLIPTextModel"],
    "text_encoder_2": ["transformers", "CLIPTextModelWithProjection"],
    "tokenizer": ["transformers", "CLIPTokenizer"],
    "tokenizer_2": ["transformers", "CLIPTokenizer"],
    "unet": ["diffusers", "UNet2DConditionModel"],
    "vae": ["diffusers", "AutoencoderKL"]})"));
  EXPECT_EQ(json::parse(model_index_json(sdxl_refiner(), "EulerDiscreteScheduler")), json::parse(R"({
    "_class_name": "StableDiffusionXLImg2ImgPipeline",
    "force_zeros_for_empty_prompt": false,
    "requires_aesthetics_score": true,
    "scheduler": ["diffusers", "EulerDiscreteScheduler"],
    "text_encoder": [null, null],
    "text_encoder_2": ["transformers", "CLIPTextModelWithProjection"],
    "tokenizer": [null, null],
    "tokenizer_2": ["transformers", "CLIPTokenizer"],
    "unet": ["diffusers", "UNet2DConditionModel"],
    "vae": ["diffusers", "AutoencoderKL"]})"));
}

}  // namespace
}  // namespace tempera
