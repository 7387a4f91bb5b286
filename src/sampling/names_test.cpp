#include "sampling/names.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <string>

#include "base/error.h"
#include "sampling/schedule.h"

namespace tempera {
namespace {
using testing::HasSubstr;

std::string refusal(const std::function<void()>& f) {
  try {
    f();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::invalid_argument) << error.what();
    return error.what();
  }
  ADD_FAILURE() << "nothing was thrown";
  return "";
}

const SchedulerConfig kModel = scheduler_config("euler");

SchedulerConfig both(std::string_view name, std::string_view schedule) {
  return scheduler_config(name, schedule, kModel);
}

TEST(Names, SpellingsOfOtherProgramsAreTheSameSampler) {
  const std::pair<const char*, const char*> same[] = {
      {"DPM++ 2M", "dpmpp_2m"},
      {"k_dpmpp_2m", "dpmpp_2m"},
      {"dpm++2m", "dpmpp_2m"},
      {"DPM++ 2M Karras", "dpmpp_2m_karras"},
      {"DPM++ 2M SDE Karras", "dpmpp_2m_sde_karras"},
      {"DPM++ 2M SDE", "dpmpp_2m_sde"},
      {"dpmpp_2m_sde_gpu", "dpmpp_2m_sde"},
      {"DPM++ 2M SDE Heun", "dpmpp_2m_sde_heun"},
      {"DPM++ SDE", "dpmpp_sde"},
      {"DPM++ 3M SDE", "dpmpp_3m_sde"},
      {"DPM++ 2S a", "dpmpp_2s_a"},
      {"dpmpp_2s_ancestral", "dpmpp_2s_a"},
      {"Euler a", "euler_a"},
      {"euler_ancestral", "euler_a"},
      {"k_euler_a", "euler_a"},
      {"EULER", "euler"},
      {"Euler Karras", "euler_karras"},
      {"DPM2", "kdpm2"},
      {"DPM2 a", "kdpm2_a"},
      {"dpm_2_ancestral", "kdpm2_a"},
      {"uni_pc", "unipc"},
      {"uni_pc_bh2", "unipc"},
      {"PLMS", "pndm"},
      {"LMS", "lms"},
      {"SA-Solver", "sa_solver"},
      {"lcm", "lcm"},
  };
  for (const auto& [name, preset] : same) EXPECT_EQ(scheduler_config(name), scheduler_config(preset)) << name;
}

TEST(Names, AScheduleAtTheEndIsTheScheduleGivenAlone) {
  for (const std::string_view schedule : schedule_names()) {
    if (schedule == "automatic") continue;
    for (const char* sampler : {"euler", "Euler a", "DPM++ 2M", "dpmpp_sde", "heun", "DPM2 a", "uni_pc"}) {
      const std::string name = std::string(sampler) + " " + std::string(schedule);
      EXPECT_EQ(scheduler_config(name), both(sampler, schedule)) << name;
      if (schedule != "uniform") {
        EXPECT_NE(scheduler_config(name), scheduler_config(sampler)) << name;
      }
    }
  }
  EXPECT_EQ(both("DPM++ 2M", "Karras"), scheduler_config("dpmpp_2m_karras"));
  EXPECT_EQ(both("dpmpp_2m", "align-your-steps"), scheduler_config("dpmpp_2m_ays"));
  EXPECT_EQ(both("dpmpp_2m", "SGM Uniform"), scheduler_config("DPM++ 2M SGM Uniform"));
  EXPECT_EQ(both("dpmpp_2m", "DDIM"), both("dpmpp_2m", "ddim_uniform"));
}

TEST(Names, AutomaticIsTheChoiceOfTheWebUi) {
  EXPECT_EQ(both("DPM++ 2M", "Automatic"), scheduler_config("dpmpp_2m_karras"));
  EXPECT_EQ(both("DPM++ SDE", "Automatic"), both("DPM++ SDE", "Karras"));
  EXPECT_EQ(both("DPM++ 2S a", "Automatic"), both("DPM++ 2S a", "Karras"));
  EXPECT_EQ(both("DPM++ 2M SDE", "Automatic"), both("DPM++ 2M SDE", "Exponential"));
  EXPECT_EQ(both("DPM++ 3M SDE", "Automatic"), both("DPM++ 3M SDE", "Exponential"));
  for (const char* plain : {"Euler", "Euler a", "DDIM", "LCM", "UniPC"})
    EXPECT_EQ(both(plain, "Automatic"), scheduler_config(plain)) << plain;
  EXPECT_EQ(both("DPM++ 2M SDE Karras", "Automatic"), scheduler_config("dpmpp_2m_sde_karras")) << "the name says it";
}

TEST(Names, ANameAndAnotherScheduleAreRefused) {
  EXPECT_EQ(both("DPM++ 2M Karras", "karras"), scheduler_config("dpmpp_2m_karras"));
  EXPECT_THAT(refusal([] { both("DPM++ 2M Karras", "beta"); }), HasSubstr("says karras, but schedule is beta"));
  EXPECT_THAT(refusal([] { both("euler simple", "normal"); }), HasSubstr("says simple, but schedule is normal"));
}

TEST(Names, SamplersWithWholeTimestepsReadOnlyTypesOfThem) {
  for (const char* name : {"ddim", "ddpm", "pndm", "lcm", "tcd"}) {
    EXPECT_THAT(refusal([&] { both(name, "karras"); }), HasSubstr("leave it out")) << name;
    EXPECT_EQ(both(name, "uniform"), scheduler_config(name));
  }
  for (const char* name : {"ddim", "pndm"})
    EXPECT_THAT(refusal([&] { both(name, "sgm_uniform"); }), HasSubstr("leave it out")) << name;
  // The samplers of the remedy.
  EXPECT_THAT(refusal([&] { both("ddim", "karras"); }), HasSubstr("such as euler, euler_a, dpmpp_2m or unipc"));
  for (const char* name : {"euler", "euler_a", "dpmpp_2m", "unipc"})
    for (const std::string_view schedule : schedule_names()) EXPECT_NO_THROW(both(name, schedule)) << name;
  // Those that read own timesteps have those of a schedule type.
  for (const char* name : {"ddpm", "lcm", "tcd"}) {
    const Schedule schedule = make_schedule(both(name, "sgm_uniform"), 4);
    ASSERT_EQ(schedule.evaluations.size(), 4u) << name;
    EXPECT_EQ(schedule.evaluations[0].timestep, 999) << name;
    EXPECT_EQ(schedule.evaluations[1].timestep, 749) << name;  // 999 * 3 / 4 = 749.25
  }
  SchedulerConfig edm = parse_scheduler_config(R"({"_class_name": "EDMEulerScheduler"})");
  set_schedule(edm, "exponential");
  EXPECT_EQ(edm.sigma_schedule, SigmaSchedule::exponential);
  EXPECT_THAT(refusal([&] { set_schedule(edm, "simple"); }), HasSubstr("karras or exponential"));
}

TEST(Names, UnknownOnesNameTheNearest) {
  const std::string sampler = refusal([] { scheduler_config("dpm++ 2n karas"); });
  EXPECT_THAT(sampler,
              HasSubstr("there is no scheduler 'dpm++ 2n karas'; choose one of the nearest (dpmpp_2m_karras, "));
  const std::string schedule = refusal([] { both("euler", "karass"); });
  EXPECT_THAT(schedule, HasSubstr("there is no schedule 'karass'; choose one of the nearest (karras, "));
  for (const std::string_view name : schedule_names()) EXPECT_THAT(schedule, HasSubstr(std::string(name)));
  EXPECT_THAT(refusal([] { scheduler_config(""); }), HasSubstr("there is no scheduler ''"));
  EXPECT_THAT(refusal([] { scheduler_config("karras"); }), HasSubstr("there is no scheduler"));
  EXPECT_LT(refusal([] { scheduler_config(std::string(1 << 20, 'x')); }).size(), 1000u);
}

// The labels of a picture's text give the sampler again.
TEST(Names, LabelsReadBackAsTheSampler) {
  for (const std::string_view name : scheduler_names()) {
    if (name.ends_with("_trailing") || name == "euler_vpred") continue;  // spacings of timesteps have no label
    const SchedulerConfig config = scheduler_config(name);
    const SchedulerLabels labels = labels_of(config);
    EXPECT_EQ(both(labels.sampler, labels.schedule), config) << labels.sampler << ", " << labels.schedule;
  }
  for (const std::string_view schedule : schedule_names()) {
    const SchedulerConfig config = both("euler_a", schedule);
    const SchedulerLabels labels = labels_of(config);
    EXPECT_EQ(both(labels.sampler, labels.schedule), config) << labels.schedule;
  }
  EXPECT_EQ(labels_of(scheduler_config("dpmpp_2m_sde_karras")).sampler, "DPM++ 2M SDE");
  EXPECT_EQ(labels_of(parse_scheduler_config(R"({"_class_name": "EDMEulerScheduler"})")).schedule, "Karras");
}

TEST(Names, EveryPresetComputesASchedule) {
  for (const std::string_view name : scheduler_names())
    for (const std::string_view schedule : schedule_names()) {
      try {
        const SchedulerConfig config = both(name, schedule);
        EXPECT_GE(make_schedule(config, 9).evaluations.size(), 8u) << name << " " << schedule;
      } catch (const Error& error) {
        EXPECT_THAT(error.what(), testing::AnyOf(HasSubstr("leave"), HasSubstr("give one of them"))) << name;
      }
    }
}

}  // namespace
}  // namespace tempera
