// Marks of v prediction, zero terminal SNR and EDM, in single files, folders and metadata.
#include "source/marks.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "base/element_reader.h"
#include "sampling/config.h"
#include "support/test_files.h"
#include "weights/made.h"

namespace tempera {
namespace {

using nlohmann::json;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

CheckpointTensor tensor(std::vector<float> values) {
  const auto owner = std::make_shared<std::vector<float>>(std::move(values));
  return {DType::f32,
          {static_cast<int64_t>(owner->size())},
          std::make_shared<StoredElements>(DType::f32, std::as_bytes(std::span(*owner)), owner)};
}

class Marks : public testing::Test {
 protected:
  // A UNet with these tensors and this metadata, and a scheduler configuration.
  json marked(MadeCheckpoint::Tensors marks, MadeCheckpoint::Metadata metadata = {},
              const std::string& scheduler = sdxl_scheduler_config()) {
    messages_.clear();
    marks["time_embed.0.weight"] = {DType::f32, {4, 1}, {}};
    const MadeCheckpoint file(std::move(marks), "x", std::move(metadata));
    return json::parse(with_marks(scheduler, file, "a/b", [this](LogLevel level, std::string_view text) {
      EXPECT_EQ(level, LogLevel::warning);
      messages_.emplace_back(text);
    }));
  }
  std::vector<std::string> messages_;
};

TEST_F(Marks, NothingWithoutThem) {
  EXPECT_EQ(marked({}), json::parse(sdxl_scheduler_config()));
  EXPECT_THAT(messages_, IsEmpty());
}

TEST_F(Marks, VPredictionAndZeroTerminalSnr) {
  json scheduler = marked({{"v_pred", tensor({1})}, {"ztsnr", tensor({1})}});
  EXPECT_EQ(scheduler["prediction_type"], "v_prediction");
  EXPECT_EQ(scheduler["rescale_betas_zero_snr"], true);
  EXPECT_EQ(scheduler["_class_name"], "EulerDiscreteScheduler");
  EXPECT_THAT(messages_, ElementsAre("'a/b' is marked for v prediction and zero terminal SNR, which is used"));
  scheduler = marked({}, {{"modelspec.prediction_type", "v"}});
  EXPECT_EQ(scheduler["prediction_type"], "v_prediction");
  EXPECT_EQ(scheduler["rescale_betas_zero_snr"], false);
  EXPECT_THAT(messages_, ElementsAre("'a/b' is marked for v prediction, which is used"));
}

TEST_F(Marks, SaysNothingThatTheConfigurationSays) {
  const std::string own = R"({"_class_name": "DDIMScheduler", "prediction_type": "v_prediction"})";
  EXPECT_EQ(marked({{"v_pred", tensor({1})}}, {}, own), json::parse(own));
  EXPECT_THAT(messages_, IsEmpty());
}

TEST_F(Marks, ConfigurationsAsDiffusersWritesThem) {
  const std::string own = R"({"_class_name": "DPMSolverMultistepScheduler", "lambda_min_clipped": -Infinity})";
  const json scheduler = marked({{"v_pred", tensor({1})}}, {}, own);
  EXPECT_EQ(scheduler["prediction_type"], "v_prediction");
  EXPECT_EQ(parse_scheduler_config(scheduler.dump()).prediction_type, PredictionType::v_prediction);
  const MadeCheckpoint file(MadeCheckpoint::Tensors{{"v_pred", tensor({1})}, {"time_embed.0.weight", tensor({1})}},
                            "x");
  for (const char* broken : {"{", "[]", "{\"a\": 1, \"a\": 2}"}) EXPECT_EQ(with_marks(broken, file, "x", {}), broken);
}

TEST_F(Marks, CosxlIsAnEdmScheduleOfVPrediction) {
  const json scheduler = marked({{"edm_vpred.sigma_max", tensor({120})}, {"edm_vpred.sigma_min", tensor({0.002f})}});
  EXPECT_EQ(scheduler["_class_name"], "EDMEulerScheduler");
  EXPECT_EQ(scheduler["prediction_type"], "v_prediction");
  EXPECT_EQ(scheduler["sigma_data"], 1.0);
  EXPECT_EQ(scheduler["sigma_max"], 120.0);
  EXPECT_EQ(scheduler["sigma_min"], 0.002);
  EXPECT_THAT(messages_, ElementsAre(HasSubstr("CosXL")));
  EXPECT_THAT(bad_file_message([&] { marked({{"edm_vpred.sigma_max", tensor({-1})}}); }), HasSubstr("must be above 0"));
}

TEST_F(Marks, PlaygroundHasItsPublishedScheduler) {
  EXPECT_EQ(marked({{"edm_mean", tensor({1, 2, 3, 4})}})["_class_name"], "EDMDPMSolverMultistepScheduler");
  EXPECT_THAT(messages_, ElementsAre(HasSubstr("Playground 2.5")));
  const std::string own = R"({"_class_name": "EDMEulerScheduler", "sigma_max": 80})";
  EXPECT_EQ(marked({{"edm_mean", tensor({1, 2, 3, 4})}}, {}, own), json::parse(own));
  EXPECT_THAT(messages_, IsEmpty());
}

TEST(Latents, OfPlayground) {
  const MadeCheckpoint file(
      MadeCheckpoint::Tensors{{"edm_mean", tensor({-1.5f, 0, 0.5f, 2})}, {"edm_std", tensor({4, 5, 6, 7})}}, "x");
  VaeConfig vae;
  read_latents(file, vae);
  EXPECT_THAT(vae.latents_mean, ElementsAre(-1.5, 0, 0.5, 2));
  EXPECT_THAT(vae.latents_std, ElementsAre(4, 5, 6, 7));
  EXPECT_EQ(vae.scaling_factor, 0.5);
  VaeConfig own;
  own.latents_mean = own.latents_std = {1, 1, 1, 1};
  const VaeConfig before = own;
  read_latents(file, own);
  EXPECT_EQ(own, before);
}

}  // namespace
}  // namespace tempera
