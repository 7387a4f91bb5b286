// Defaults of models that were distilled to few steps, by metadata, scheduler, UNet and name.
#include "source/step_distilled.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "source/marks.h"
#include "weights/made.h"

namespace tempera {
namespace {

using nlohmann::json;
using testing::ElementsAre;
using testing::IsEmpty;

std::optional<StepDistilled> found(const std::string& name, MadeCheckpoint::Metadata metadata = {},
                                   std::string_view scheduler = "", const UnetConfig& config = {}) {
  return step_distilled(MadeCheckpoint({}, "x", std::move(metadata)), config, scheduler, name);
}

// "Turbo 4 steps", with "by name" where only the name shows it.
std::string text(const std::optional<StepDistilled>& model) {
  if (!model) return "none";
  return std::string(model->kind) + " " + std::to_string(model->steps) + (model->from_name ? " by name" : "");
}

// Names of published files.
TEST(StepDistilled, ByName) {
  EXPECT_EQ(text(found("sd_xl_turbo_1.0_fp16.safetensors")), "Turbo 4 by name");
  EXPECT_EQ(text(found("dreamshaperXL_v21TurboDPMSDE.safetensors")), "Turbo 4 by name");
  EXPECT_EQ(text(found("turbovisionxlSuperFastXL_v431.safetensors")), "Turbo 4 by name");
  EXPECT_EQ(text(found("sdxl_lightning_8step.safetensors")), "Lightning 8 by name");
  EXPECT_EQ(text(found("juggernautXL_juggXILightningByRD.safetensors")), "Lightning 4 by name");
  EXPECT_EQ(text(found("Hyper-SDXL-1step-Unet.safetensors")), "Hyper-SD 1 by name");
  EXPECT_EQ(text(found("Hyper-SDXL-8steps.safetensors")), "Hyper-SD 8 by name");
  EXPECT_EQ(text(found("dmd2_sdxl_4step_unet_fp16.bin")), "DMD2 4 by name");
  EXPECT_EQ(text(found("lcm-sdxl")), "LCM 4 by name");
  for (const char* other : {"sd_xl_base_1.0.safetensors", "HyperRealistic_v2.safetensors", "hyper_photo.safetensors",
                            "calcmodel.safetensors", "ponyDiffusionV6XL_v6.safetensors", ""})
    EXPECT_EQ(text(found(other)), "none") << other;
}

TEST(StepDistilled, ByWhatTheFileAndTheModelSay) {
  EXPECT_EQ(text(found("x.safetensors", {{"modelspec.title", "SDXL Lightning, 2-step"}})), "Lightning 2");
  EXPECT_EQ(text(found("x_turbo.safetensors", {{"modelspec.title", "My DMD2 merge"}})), "DMD2 4");
  EXPECT_EQ(text(found("x", {}, "LCMScheduler")), "LCM 4");
  EXPECT_EQ(text(found("x", {}, "TCDScheduler")), "TCD 4");
  UnetConfig config;
  config.time_cond_proj_dim = 256;
  ASSERT_EQ(text(found("x", {}, "", config)), "LCM 4");
  EXPECT_EQ(found("x", {}, "", config)->guidance_scale, 8);
}

class DistilledDefaults : public testing::Test {
 protected:
  // The defaults of a model of that name.
  void set(const std::string& name, bool own_scheduler, const std::string& scheduler = sdxl_scheduler_config()) {
    source_ = {};
    messages_.clear();
    source_.scheduler_config = scheduler;
    set_step_distilled_defaults(source_, MadeCheckpoint({}, "x"), "models/" + name, own_scheduler,
                                [this](LogLevel, std::string_view message) { messages_.emplace_back(message); });
  }
  json scheduler() const { return json::parse(source_.scheduler_config); }

  ModelSource source_;
  std::vector<std::string> messages_;
};

TEST_F(DistilledDefaults, OfAFileWithoutScheduler) {
  set("sdxl_lightning_8step.safetensors", false);
  EXPECT_EQ(source_.defaults.num_inference_steps, 8);
  EXPECT_EQ(source_.defaults.guidance_scale, 1);
  json expected = json::parse(sdxl_scheduler_config());
  expected["timestep_spacing"] = "trailing";
  EXPECT_EQ(scheduler(), expected);
  EXPECT_THAT(messages_, ElementsAre("'sdxl_lightning_8step.safetensors' is a Lightning model by its name: the "
                                     "defaults are 8 steps without guidance"));
  set("sd_xl_turbo_1.0.safetensors", false);
  EXPECT_EQ(scheduler()["_class_name"], "EulerAncestralDiscreteScheduler");
  EXPECT_EQ(scheduler()["timestep_spacing"], "trailing");
  set("lcm.safetensors", false);
  EXPECT_EQ(scheduler()["_class_name"], "LCMScheduler");
  EXPECT_FALSE(scheduler().contains("timestep_spacing"));
}

TEST_F(DistilledDefaults, TheSchedulerOfAFolderStays) {
  const std::string own = R"({"_class_name": "LCMScheduler", "original_inference_steps": 50})";
  set("x", true, own);
  EXPECT_EQ(source_.defaults.num_inference_steps, 4);
  EXPECT_EQ(source_.scheduler_config, own);
  EXPECT_THAT(messages_, IsEmpty());
}

TEST_F(DistilledDefaults, OthersHaveTheUsualOnes) {
  set("sd_xl_base_1.0.safetensors", false);
  EXPECT_EQ(source_.defaults.num_inference_steps, 50);
  EXPECT_EQ(source_.scheduler_config, sdxl_scheduler_config());
  const std::string edm = R"({"_class_name": "EDMEulerScheduler"})";
  set("playground_turbo.safetensors", false, edm);
  EXPECT_EQ(source_.scheduler_config, edm);
  EXPECT_THAT(messages_, IsEmpty());
}

}  // namespace
}  // namespace tempera
