#include "sampling/config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "base/error.h"
#include "sampling/schedule.h"

namespace tempera {
namespace {
using testing::HasSubstr;
using testing::Not;

std::string refusal(const std::string& json) {
  try {
    make_schedule(parse_scheduler_config(json, "some.json"), 5);
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::bad_file) << error.what();
    return error.what();
  }
  ADD_FAILURE() << "accepted: " << json;
  return "";
}

std::string of_class(const std::string& name, const std::string& rest = "") {
  return R"({"_class_name": ")" + name + "\"" + (rest.empty() ? "" : ", " + rest) + "}";
}

TEST(SchedulerConfig, MissingKeysHaveTheDefaultsOfTheClass) {
  const SchedulerConfig euler = parse_scheduler_config(of_class("EulerDiscreteScheduler"));
  EXPECT_EQ(euler.beta_start, 0.0001);
  EXPECT_EQ(euler.beta_end, 0.02);
  EXPECT_EQ(euler.timestep_spacing, TimestepSpacing::linspace);
  const SchedulerConfig heun = parse_scheduler_config(of_class("HeunDiscreteScheduler"));
  EXPECT_EQ(heun.beta_start, 0.00085);
  EXPECT_EQ(heun.beta_schedule, BetaSchedule::linear);
  const SchedulerConfig lcm = parse_scheduler_config(of_class("LCMScheduler"));
  EXPECT_EQ(lcm.beta_schedule, BetaSchedule::scaled_linear);
  EXPECT_EQ(lcm.timestep_spacing, TimestepSpacing::leading);
  const SchedulerConfig pndm = parse_scheduler_config(of_class("PNDMScheduler"));
  EXPECT_FALSE(pndm.set_alpha_to_one);
  EXPECT_FALSE(pndm.skip_prk_steps);
  EXPECT_FALSE(parse_scheduler_config(of_class("DPMSolverSinglestepScheduler")).lower_order_final);
  EXPECT_TRUE(parse_scheduler_config(of_class("DPMSolverMultistepScheduler")).lower_order_final);
}

// The file that comes with SDXL has keys of other schedulers.
TEST(SchedulerConfig, KeysOfOtherClassesHaveNoEffect) {
  const SchedulerConfig config = parse_scheduler_config(R"({
    "_class_name": "EulerDiscreteScheduler", "_diffusers_version": "0.19.0.dev0", "beta_end": 0.012,
    "beta_schedule": "scaled_linear", "beta_start": 0.00085, "clip_sample": true, "interpolation_type": "linear",
    "num_train_timesteps": 1000, "prediction_type": "epsilon", "sample_max_value": 1.0, "set_alpha_to_one": false,
    "skip_prk_steps": true, "steps_offset": 1, "timestep_spacing": "leading", "trained_betas": null,
    "use_karras_sigmas": false, "thresholding": true, "something_new": {"a": [1]}})");
  EXPECT_EQ(config, scheduler_config("euler"));
}

TEST(SchedulerConfig, ReadsWhatPythonWrites) {
  const SchedulerConfig config = parse_scheduler_config(
      of_class("DPMSolverMultistepScheduler", R"("note": "a \"-Infinity\" \\", "lambda_min_clipped": -Infinity)"));
  EXPECT_EQ(config.lambda_min_clipped, -std::numeric_limits<double>::infinity());
  EXPECT_EQ(parse_scheduler_config(of_class("DPMSolverMultistepScheduler", R"("lambda_min_clipped": -5.1)"))
                .lambda_min_clipped,
            -5.1);
  EXPECT_THAT(refusal(of_class("DPMSolverMultistepScheduler", R"("lambda_min_clipped": NaN)")),
              HasSubstr("lambda_min_clipped"));
}

TEST(SchedulerConfig, RefusesWrongTypesAndValuesNamingTheKey) {
  const std::string euler = "EulerDiscreteScheduler";
  EXPECT_THAT(refusal("{}"), HasSubstr("_class_name"));
  EXPECT_THAT(refusal("[]"), HasSubstr("some.json"));
  EXPECT_THAT(refusal("{"), HasSubstr("some.json"));
  EXPECT_THAT(refusal(of_class("FlowMatchEulerDiscreteScheduler")), HasSubstr("supported are EulerDiscreteScheduler"));
  EXPECT_THAT(refusal(of_class(euler, R"("beta_start": "0.1")")), HasSubstr("beta_start"));
  EXPECT_THAT(refusal(of_class(euler, R"("num_train_timesteps": 0)")), HasSubstr("num_train_timesteps"));
  EXPECT_THAT(refusal(of_class(euler, R"("num_train_timesteps": 1000000000)")), HasSubstr("num_train_timesteps"));
  EXPECT_THAT(refusal(of_class(euler, R"("use_karras_sigmas": 1)")), HasSubstr("use_karras_sigmas"));
  EXPECT_THAT(refusal(of_class(euler, R"("timestep_spacing": "logspace")")), HasSubstr("linspace, leading, trailing"));
  EXPECT_THAT(refusal(of_class(euler, R"("prediction_type": "flow_prediction")")), HasSubstr("flow_prediction"));
  EXPECT_THAT(refusal(of_class(euler, R"("beta_schedule": "laplace")")), HasSubstr("squaredcos_cap_v2"));
  EXPECT_THAT(refusal(of_class(euler, R"("beta_start": -1)")), HasSubstr("beta"));
  EXPECT_THAT(refusal(of_class(euler, R"("beta_schedule": "scaled_linear", "beta_start": -1)")), HasSubstr("beta"));
  EXPECT_THAT(refusal(of_class(euler, R"("trained_betas": [0.1, 0.2])")), HasSubstr("trained_betas has 2 values"));
  EXPECT_THAT(refusal(of_class(euler, R"("trained_betas": [0.1, "x"])")), HasSubstr("trained_betas"));
  EXPECT_THAT(refusal(of_class(euler, R"("use_karras_sigmas": true, "use_beta_sigmas": true)")),
              HasSubstr("choose one"));
  EXPECT_THAT(refusal(of_class(euler, R"("use_karras_sigmas": true, "sigma_min": -1)")), HasSubstr("sigma_min"));
}

TEST(SchedulerConfig, RefusesWhatNoSamplerComputes) {
  EXPECT_THAT(refusal(of_class("DDIMScheduler")), HasSubstr("\"clip_sample\": false"));
  EXPECT_THAT(refusal(of_class("DDIMScheduler", R"("clip_sample": true)")), HasSubstr("clip_sample 'true'"));
  EXPECT_THAT(refusal(of_class("SASolverScheduler", R"("tau_func": "x")")), HasSubstr("tau_func"));
  for (const char* ratio : {"-0.1", "1.1", "NaN"}) {
    EXPECT_THAT(refusal(of_class("LCMScheduler", R"("dynamic_thresholding_ratio": )" + std::string(ratio))),
                HasSubstr("dynamic_thresholding_ratio"));
  }
  EXPECT_THAT(refusal(of_class("LCMScheduler", R"("sample_max_value": 0)")), HasSubstr("sample_max_value"));
  EXPECT_THAT(refusal(of_class("EDMEulerScheduler", R"("sigma_min": 80)")), HasSubstr("sigma_min below sigma_max"));
  EXPECT_THAT(refusal(of_class("EDMEulerScheduler", R"("prediction_type": "sample")")), HasSubstr("epsilon or v_pred"));
  EXPECT_THAT(refusal(of_class("EDMDPMSolverMultistepScheduler", R"("algorithm_type": "dpmsolver",
                                "final_sigmas_type": "sigma_min")")),
              HasSubstr("dpmsolver++ or sde-dpmsolver++"));
  EXPECT_THAT(refusal(of_class("UniPCMultistepScheduler", R"("use_flow_sigmas": true)")), HasSubstr("use_flow_sigmas"));
  EXPECT_THAT(refusal(of_class("UniPCMultistepScheduler", R"("solver_p": {"a": 1})")), HasSubstr("solver_p"));
  EXPECT_THAT(refusal(of_class("DPMSolverMultistepScheduler", R"("variance_type": "learned")")),
              HasSubstr("variance_type 'learned'"));
  EXPECT_THAT(refusal(of_class("DDPMScheduler", R"("clip_sample": false, "variance_type": "learned")")),
              HasSubstr("variance_type 'learned'"));
}

TEST(SchedulerConfig, RefusesUnknownSolversNamingTheChoices) {
  const std::string dpm = "DPMSolverMultistepScheduler";
  EXPECT_THAT(refusal(of_class(dpm, R"("algorithm_type": "magic")")), HasSubstr("algorithm_type 'magic'"));
  EXPECT_THAT(refusal(of_class(dpm, R"("algorithm_type": "dpmsolver")")), HasSubstr("sigma_min"));
  EXPECT_THAT(refusal(of_class(dpm, R"("solver_type": "magic")")), HasSubstr("midpoint or heun"));
  EXPECT_THAT(refusal(of_class(dpm, R"("solver_order": 4)")), HasSubstr("solver_order"));
  EXPECT_THAT(refusal(of_class("DEISMultistepScheduler", R"("solver_type": "magic")")), HasSubstr("logrho"));
  EXPECT_THAT(refusal(of_class("UniPCMultistepScheduler", R"("solver_type": "magic")")), HasSubstr("bh1 or bh2"));
  EXPECT_THAT(refusal(of_class("SASolverScheduler", R"("algorithm_type": "magic")")), HasSubstr("data_prediction"));
  EXPECT_THAT(refusal(of_class("SASolverScheduler", R"("corrector_order": 5)")), HasSubstr("corrector_order"));
  EXPECT_THAT(refusal(of_class("TCDScheduler", R"("original_inference_steps": 2000)")),
              HasSubstr("original_inference_steps"));
}

TEST(SchedulerConfig, UnknownPresetListsTheNames) {
  try {
    scheduler_config("euler_b");
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::invalid_argument);
    EXPECT_THAT(error.what(), HasSubstr("'euler_b'"));
    for (const std::string_view name : scheduler_names()) EXPECT_THAT(error.what(), HasSubstr(std::string(name)));
  }
}

TEST(SchedulerConfig, APresetKeepsWhatBelongsToTheModel) {
  const SchedulerConfig plain = scheduler_config("euler");
  for (const std::string_view name : scheduler_names())
    EXPECT_EQ(scheduler_config(name, plain), scheduler_config(name));

  SchedulerConfig model = scheduler_config("euler_vpred");
  model.beta_end = 0.013;
  model.num_train_timesteps = 900;
  const SchedulerConfig ddim = scheduler_config("ddim", model);
  EXPECT_EQ(ddim.prediction_type, PredictionType::v_prediction);
  EXPECT_TRUE(ddim.rescale_betas_zero_snr);
  EXPECT_EQ(ddim.beta_end, 0.013);
  EXPECT_EQ(ddim.num_train_timesteps, 900);
  EXPECT_EQ(ddim.timestep_spacing, TimestepSpacing::leading);  // the preset's
  const SchedulerConfig edm = parse_scheduler_config(of_class("EDMDPMSolverMultistepScheduler"));
  EXPECT_EQ(scheduler_config("euler", edm), plain) << "EDM has no betas";
  // Heun does not support zero terminal SNR.
  const SchedulerConfig heun = scheduler_config("heun", model);
  EXPECT_EQ(heun.prediction_type, PredictionType::v_prediction);
  EXPECT_FALSE(heun.rescale_betas_zero_snr);
}

TEST(SchedulerConfig, AnotherSamplerNeedsOnlyWhatBelongsToTheModel) {
  const SchedulerConfig plain = scheduler_config("euler");
  const auto euler = [](std::string_view json) { return scheduler_config("euler", parse_model_levels(json, "f")); };
  EXPECT_EQ(euler(""), plain);
  EXPECT_EQ(euler(R"({})"), plain);
  EXPECT_EQ(euler(R"({"_class_name": "OfTomorrow", "lambda_min_clipped": -Infinity})"), plain);
  // Values that the class does not support are no errors; those of the model count.
  const SchedulerConfig model = euler(R"({"_class_name": "DDIMScheduler", "clip_sample": true, "beta_start": 0.001,
    "beta_end": 0.013, "beta_schedule": "linear", "prediction_type": "v_prediction", "rescale_betas_zero_snr": true})");
  EXPECT_EQ(model.beta_start, 0.001);
  EXPECT_EQ(model.beta_end, 0.013);
  EXPECT_EQ(model.beta_schedule, BetaSchedule::linear);
  EXPECT_EQ(model.prediction_type, PredictionType::v_prediction);
  EXPECT_TRUE(model.rescale_betas_zero_snr);
  EXPECT_EQ(model.class_name, "EulerDiscreteScheduler");
  EXPECT_EQ(parse_model_levels(R"({"_class_name": "OfTomorrow"})", "f").class_name, "OfTomorrow");
  EXPECT_EQ(parse_model_levels("", "f").class_name, "");
  // As a known class's own defaults.
  EXPECT_EQ(euler(R"({"_class_name": "DDIMScheduler"})").beta_end, 0.02);
}

TEST(SchedulerConfig, TheTextInOneLineIsTheSameConfiguration) {
  const char* json = R"({
    "_class_name": "DPMSolverMultistepScheduler", "_diffusers_version": "0.30", "_name_or_path": "of/someone/model",
    "beta_end": 0.012, "use_karras_sigmas": true, "lambda_min_clipped": -Infinity, "clip_sample": false})";
  const std::string text = compact_scheduler_config(json, "f");
  EXPECT_THAT(text, Not(HasSubstr("someone")));
  EXPECT_THAT(text, Not(HasSubstr("\n")));
  EXPECT_EQ(parse_scheduler_config(text, "f"), parse_scheduler_config(json, "f"));
}

}  // namespace
}  // namespace tempera
