// A handle finds its component in whichever source it is; the rows of a component in models and in weights agree.
#include "source/sources.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>

#include "models/config_writer.h"
#include "source/test_models.h"
#include "source/tiny_vae.h"
#include "support/test_files.h"
#include "weights/naming.h"
#include "weights/safetensors.h"

namespace tempera {
namespace {

template <class Call>
void expect_internal_error(Call&& call) {
  try {
    call();
    ADD_FAILURE() << "no error";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::internal) << error.what();
  }
}

class SourcesTest : public testing::Test {
 protected:
  SourcesTest() {
    write_zeros(model_path_, single_file_tensors(small_model()));
    write_zeros(tiny_path_ / "diffusion_pytorch_model.safetensors", tensors_of(tiny_config_));
    write_file(tiny_path_ / "config.json", to_json(tiny_config_));
    sources_.add(model_, open_model(model_path_));
    sources_.add(tiny_, open_tiny_vae(tiny_path_.string(), "", small_model().vae));
  }

  TemporaryFolder folder_;
  std::filesystem::path model_path_ = folder_ / "model.safetensors", tiny_path_ = folder_ / "taesdxl";
  TinyVaeConfig tiny_config_ = tiny_vae_preset("tiny");
  Sources sources_;
  const SourceId model_ = SourceId::model, tiny_ = SourceId::tiny_vae;
};

TEST_F(SourcesTest, HandlesFindTheirComponents) {
  EXPECT_TRUE(sources_.has(model_));
  EXPECT_TRUE(sources_.has(tiny_));
  EXPECT_FALSE(sources_.has(SourceId::refiner));
  EXPECT_EQ(sources_.model().config, small_model());
  EXPECT_TRUE(sources_.component({model_, "unet"}).weights->find("conv_in.weight"));
  EXPECT_TRUE(sources_.component({model_, "text_encoder"}).weights->find("text_model.final_layer_norm.bias"));
  EXPECT_TRUE(sources_.component({tiny_, "vae_tiny"}).weights->find("decoder.layers.0.weight"));
}

TEST_F(SourcesTest, GivesConfigurations) {
  EXPECT_EQ(sources_.config({model_, "text_encoder"}), ComponentConfig(*small_model().text_encoder));
  EXPECT_EQ(sources_.config({model_, "text_encoder_2"}), ComponentConfig(small_model().text_encoder_2));
  EXPECT_EQ(sources_.config({model_, "unet"}), ComponentConfig(small_model().unet));
  EXPECT_EQ(sources_.config({model_, "vae"}), ComponentConfig(small_model().vae));
  EXPECT_EQ(sources_.config({tiny_, "vae_tiny"}), ComponentConfig(tiny_config_));
  sources_.model().components.erase("text_encoder");  // as when it is opened later
  EXPECT_EQ(sources_.config({model_, "text_encoder"}), ComponentConfig(*small_model().text_encoder));
}

TEST_F(SourcesTest, LabelsNameComponentAndPlace) {
  EXPECT_EQ(sources_.label({model_, "unet"}), "the unet of '" + model_path_.string() + "'");
  EXPECT_EQ(sources_.label({tiny_, "vae_tiny"}), "the vae_tiny of '" + tiny_path_.string() + "'");
}

TEST_F(SourcesTest, ReferencesStayValid) {
  const ComponentSource& unet = sources_.component({model_, "unet"});
  const ComponentSource& tiny = sources_.component({tiny_, "vae_tiny"});
  sources_.add(SourceId::refiner, open_model(model_path_));
  EXPECT_EQ(&sources_.component({model_, "unet"}), &unet);
  EXPECT_EQ(&sources_.component({tiny_, "vae_tiny"}), &tiny);
}

TEST_F(SourcesTest, WhatIsNotThereIsAnInternalError) {
  expect_internal_error([&] { sources_.add(tiny_, open_tiny_vae(tiny_path_.string(), "", small_model().vae)); });
  expect_internal_error([&] { sources_.component({SourceId::refiner, "unet"}); });
  expect_internal_error([&] { sources_.component({tiny_, "vae"}); });
  expect_internal_error([&] { sources_.component({model_, "vae_tiny"}); });
  expect_internal_error([&] { sources_.config({model_, "vae_tiny"}); });
  expect_internal_error([&] { sources_.config({tiny_, "unet"}); });
  expect_internal_error([&] { sources_.model(tiny_); });
  expect_internal_error([&] { sources_.label({SourceId::refiner, "unet"}); });
}

TEST(ComponentRef, IsOrderedBySourceThenName) {
  EXPECT_LT((ComponentRef{SourceId::model, "vae"}), (ComponentRef{SourceId::tiny_vae, "unet"}));
  EXPECT_LT((ComponentRef{SourceId::tiny_vae, "unet"}), (ComponentRef{SourceId::tiny_vae, "vae"}));
  EXPECT_EQ((ComponentRef{SourceId::tiny_vae, "unet"}), (ComponentRef{SourceId::tiny_vae, "unet"}));
}

// The names in the graphs are the canonical ones.
TEST(ComponentTables, EveryKindHasItsNames) {
  const TemporaryFolder folder;
  NamedConfigs all = component_configs(small_model());
  all.emplace_back(kTinyVaeFolder, tiny_vae_preset("tiny"));
  ASSERT_EQ(all.size(), component_kinds().size());
  for (const auto& [name, config] : all) {
    const std::filesystem::path path = folder / (std::string(name) + ".safetensors");
    write_zeros(path, tensors_of(config));
    const auto file = std::make_shared<SafetensorsFile>(path);
    EXPECT_EQ(with_canonical_names(file, name)->names(), file->names()) << name;
  }
  expect_internal_error([&] { with_canonical_names(nullptr, "controlnet"); });
}

}  // namespace
}  // namespace tempera
