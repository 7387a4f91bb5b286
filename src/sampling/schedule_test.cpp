// What must hold of every schedule, whatever diffusers computes.
#include "sampling/schedule.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <numeric>
#include <string>

#include "base/error.h"
#include "sampling/run_schedule.h"
#include "sampling/sampler.h"

namespace tempera {
namespace {

std::string message_of(const std::function<void()>& f, ErrorCode code) {
  try {
    f();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), code) << error.what();
    return error.what();
  }
  ADD_FAILURE() << "nothing was thrown";
  return "";
}

// A latent as its coefficients: how much of the picture, of the initial noise, and of every later draw it has.
struct Marginal {
  double signal, noise;
};
Marginal marginal_of(const std::vector<double>& x) {
  return {x[0], std::sqrt(std::inner_product(x.begin() + 1, x.end(), x.begin() + 1, 0.0))};
}

// The prediction of a model that has the exact picture.
std::vector<double> perfect_model(PredictionType type, std::vector<double> input, const Evaluation& e) {
  std::vector<double> picture(input.size(), 0.0);
  picture[0] = 1;
  if (type == PredictionType::sample) return picture;
  const double scale = std::hypot(e.signal, e.noise);
  for (size_t i = 0; i < input.size(); ++i) {
    const double noise = (input[i] / e.input_scale - e.signal * picture[i]) / e.noise;
    input[i] = type == PredictionType::epsilon ? noise : (e.signal * noise - e.noise * picture[i]) / scale;
  }
  return input;
}

class EverySampler : public testing::TestWithParam<std::string_view> {};

// With a perfect model, slot 0 before every evaluation is signal * picture + noise * gaussian with the coefficients of
// that evaluation, also if fresh noise was drawn before. A schedule that ends at sigma 0 ends at the picture.
TEST_P(EverySampler, KeepsTheMarginals) {
  for (const PredictionType type : {PredictionType::epsilon, PredictionType::v_prediction, PredictionType::sample}) {
    for (const int first : {0, 4}) {
      // PNDM combines v predictions of different levels, and in the middle it repeats its first step without a second
      // timestep. diffusers has the same approximations.
      if (GetParam() == "pndm" && (type != PredictionType::epsilon || first != 0)) continue;
      SchedulerConfig config = scheduler_config(GetParam());
      config.prediction_type = type;
      config.set_alpha_to_one = true;
      const double eta = find_sampler(config.class_name).takes_eta ? 0.4 : 0;
      const Schedule schedule = make_schedule(config, {.steps = 9, .eta = eta, .first = first});
      const size_t count = schedule.evaluations.size();
      std::vector<double> x(2 + count, 0.0);
      x[0] = schedule.evaluations[0].signal;
      x[1] = schedule.evaluations[0].noise;
      size_t draws = 0;
      const auto draw = [&] {
        std::vector<double> unit(x.size(), 0.0);
        unit[2 + draws++] = 1;
        return unit;
      };
      const auto model = [&](const std::vector<double>& input, const Evaluation& e) {
        return perfect_model(type, input, e);
      };
      const auto trace = run_schedule(schedule, x, model, draw);
      for (size_t i = 0; i + 1 < count; ++i) {
        const Marginal marginal = marginal_of(trace[i]);
        const Evaluation& next = schedule.evaluations[i + 1];
        // DDIM's steps are all as long as the shortest of its spacing; LCM keeps a trace of x.
        const double tolerance = GetParam() == "ddim_trailing" || GetParam() == "lcm" ? 1e-2 : 1e-6;
        EXPECT_NEAR(marginal.signal, next.signal, tolerance) << i;
        EXPECT_NEAR(marginal.noise / next.noise, 1, tolerance) << i;
      }
      const Marginal end = marginal_of(trace.back());
      if (GetParam() == "deis" || GetParam() == "sa_solver") {  // ends at the lowest sigma of the training table
        EXPECT_NEAR(end.noise / end.signal / schedule.sigmas.back(), 1, 1e-6);
      } else if (GetParam() == "tcd") {  // ends at timestep 0
        EXPECT_NEAR(end.noise / end.signal, 0.0292, 1e-4);
      } else {
        EXPECT_NEAR(end.signal, 1, 1e-6);
        EXPECT_NEAR(end.noise, 0, 1e-6);
      }
    }
  }
}

TEST_P(EverySampler, IsFiniteForAnyNumberOfSteps) {
  const SchedulerConfig config = scheduler_config(GetParam());
  for (int steps = 1; steps <= 1000; steps += steps < 60 ? 1 : steps < 959 ? 31 : 1) {
    try {
      const Schedule schedule = make_schedule(config, steps);
      ASSERT_GE(schedule.evaluations.size(), static_cast<size_t>(steps));
      ASSERT_LE(schedule.evaluations.size(), static_cast<size_t>(2 * steps));
      for (const Evaluation& e : schedule.evaluations) {
        ASSERT_EQ(e.update.size(), static_cast<size_t>(schedule.slots * (schedule.slots + 2)));
        for (const double c : e.update) ASSERT_TRUE(std::isfinite(c)) << steps;
        ASSERT_TRUE(std::isfinite(e.timestep) && e.timestep >= 0 && e.timestep <= 1000);
      }
    } catch (const Error& error) {
      // The distilled samplers have 50 timesteps. With an offset of 1 the highest of 1000 timesteps would be 1000,
      // which does not exist. Spacings without the end reach it with 999.
      EXPECT_EQ(error.code(), ErrorCode::invalid_argument) << error.what();
      const bool is_distilled = config.class_name == "LCMScheduler" || config.class_name == "TCDScheduler";
      EXPECT_GE(steps, is_distilled ? 51 : 999) << error.what();
    }
  }
}

TEST_P(EverySampler, HistoryNeverMattersBeforeItIsWritten) {
  // run_schedule fills unwritten slots and undrawn noise with 1e12, so any coefficient on them would show.
  const Schedule schedule = make_schedule(scheduler_config(GetParam()), {.steps = 12, .first = 2});
  const auto model = [](const std::vector<double>& input, const Evaluation&) {
    return std::vector<double>{std::tanh(input[0])};
  };
  for (const auto& x :
       run_schedule(schedule, {schedule.init_noise_sigma}, model, [] { return std::vector<double>{0.5}; })) {
    EXPECT_LT(std::abs(x[0]), 10 + 10 * schedule.init_noise_sigma);
  }
}

INSTANTIATE_TEST_SUITE_P(All, EverySampler, testing::ValuesIn(scheduler_names()),
                         [](const auto& row) { return std::string(row.param); });

TEST(Schedule, TruncatesAsDenoisingEndDoes) {
  const Schedule schedule = make_schedule(scheduler_config("euler"), 7);  // 853 711 569 427 285 143 1
  EXPECT_EQ(truncate(schedule, 0.6).evaluations.size(), 4u);              // at least 400
  EXPECT_EQ(truncate(schedule, 0.573).evaluations.size(), 4u);            // at least 427
  EXPECT_EQ(truncate(schedule, 0.572).evaluations.size(), 3u);            // at least 428
  EXPECT_EQ(truncate(schedule, 0.0001).evaluations.size(), 0u);
  EXPECT_EQ(truncate(schedule, 0.0).evaluations.size(), 7u);
  EXPECT_EQ(truncate(schedule, 1.0).evaluations.size(), 7u);
  EXPECT_EQ(truncate(schedule, std::nan("")).evaluations.size(), 7u);
}

TEST(Schedule, TrailingSpacingMakesTheStepsAskedFor) {
  // np.arange(1000, 0, -1000 / 61) has 62 elements.
  EXPECT_EQ(make_schedule(scheduler_config("euler_trailing"), 61).evaluations.size(), 61u);
}

TEST(Schedule, RefusesNumbersOutOfRange) {
  using testing::HasSubstr;
  const SchedulerConfig euler = scheduler_config("euler");
  for (const int steps : {0, -3, 10001}) {
    EXPECT_THAT(message_of([&] { make_schedule(euler, steps); }, ErrorCode::invalid_argument),
                HasSubstr("between 1 and 10000"));
  }
  for (const double eta : {-0.1, 1.1, std::nan("")}) {
    EXPECT_THAT(message_of([&] { make_schedule(scheduler_config("ddim"), {.eta = eta}); }, ErrorCode::invalid_argument),
                HasSubstr("between 0 and 1"));
  }
  for (const int first : {-1, 7, 100}) {
    EXPECT_THAT(message_of([&] { make_schedule(euler, {.steps = 7, .first = first}); }, ErrorCode::invalid_argument),
                HasSubstr("below 7"));
  }
  EXPECT_THAT(message_of([&] { make_schedule(scheduler_config("heun"), {.steps = 7, .first = 3}); },
                         ErrorCode::invalid_argument),
              HasSubstr("a multiple of 2"));
  for (const char* name : {"lcm", "tcd"}) {
    EXPECT_THAT(message_of([&] { make_schedule(scheduler_config(name), 51); }, ErrorCode::invalid_argument),
                HasSubstr("1 to 50 steps, not 51"));
  }
  for (const char* name : {"ddim", "ddpm", "pndm"}) {
    EXPECT_THAT(message_of([&] { make_schedule(scheduler_config(name), 1001); }, ErrorCode::invalid_argument),
                HasSubstr("1 to 1000 steps, not 1001"));
  }
}

TEST(Schedule, OwnTimestepsAndSigmasReplaceTheSteps) {
  const Schedule own = make_schedule(scheduler_config("euler"), {.steps = 3, .timesteps = {900, 500, 50}});
  ASSERT_EQ(own.evaluations.size(), 3u);
  EXPECT_EQ(own.evaluations[1].timestep, 500);
  EXPECT_NEAR(own.sigmas[1], 1.6156 + (1.6182 - 1.6156) / 2, 5e-3);  // the golden of timestep 499.5, and its slope
  EXPECT_EQ(own.sigmas[3], 0);
  const Schedule sigmas = make_schedule(scheduler_config("euler"), {.steps = 2, .sigmas = {14, 1.61558342, 0.5}});
  ASSERT_EQ(sigmas.evaluations.size(), 2u);
  EXPECT_NEAR(sigmas.evaluations[1].timestep, 499.5, 1e-2);
  EXPECT_EQ(sigmas.sigmas[2], 0.5);
  EXPECT_NEAR(sigmas.init_noise_sigma, std::sqrt(14 * 14 + 1), 1e-6);
  for (const char* name : {"dpmpp_2m", "dpmpp_2s", "heun", "ddpm", "lcm", "tcd"}) {
    const Schedule schedule = make_schedule(scheduler_config(name), {.steps = 4, .timesteps = {999, 600, 300, 20}});
    EXPECT_EQ(schedule.evaluations[0].timestep, 999) << name;
    EXPECT_EQ(schedule.evaluations.back().timestep, 20) << name;
  }
}

TEST(Schedule, RefusesArgumentsThatTheSamplerDoesNotRead) {
  using testing::HasSubstr;
  const auto refused = [](const char* name, const ScheduleOptions& options) {
    return message_of([&] { make_schedule(scheduler_config(name), options); }, ErrorCode::invalid_argument);
  };
  for (const char* name : {"euler_a", "ddim", "pndm", "lms", "unipc", "deis", "kdpm2", "sa_solver", "dpmpp_sde"})
    EXPECT_THAT(refused(name, {.steps = 1, .timesteps = {500}}), HasSubstr("leave")) << name;
  for (const char* name : {"euler_a", "dpmpp_2m", "ddim", "heun", "lcm"})
    EXPECT_THAT(refused(name, {.steps = 1, .sigmas = {5, 0}}), HasSubstr("such as euler")) << name;
  for (const char* name : {"euler", "dpmpp_2m", "lcm"})
    EXPECT_THAT(refused(name, {.steps = 3, .eta = 0.5}), HasSubstr("such as ddim")) << name;
  for (const char* name : {"dpmpp_2m_karras", "euler simple"})
    EXPECT_THAT(refused(name, {.steps = 1, .timesteps = {500}}), HasSubstr("spaces its sigmas itself")) << name;
  EXPECT_THAT(refused("euler", {.steps = 1, .timesteps = {500}, .sigmas = {5, 0}}), HasSubstr("give one of them"));
  for (const std::vector<int>& bad : {std::vector<int>{500, 500}, {100, 500}, {1000, 1}, {5, -1}}) {
    EXPECT_THAT(refused("euler", {.steps = static_cast<int>(bad.size()), .timesteps = bad}),
                HasSubstr("from at most 999 to at least 0"));
  }
  for (const std::vector<double>& bad : {std::vector<double>{5}, {5, 5}, {1, 5}, {5, -1}, {5, std::nan("")}}) {
    EXPECT_THAT(refused("euler", {.steps = static_cast<int>(bad.size()) - 1, .sigmas = bad}),
                testing::Not(testing::IsEmpty()));
  }
}

TEST(Schedule, RefusesWhatDividesByZero) {
  // At zero signal the noise does not depend on the picture.
  SchedulerConfig config = scheduler_config("ddim_trailing");
  config.rescale_betas_zero_snr = true;
  EXPECT_THAT(message_of([&] { make_schedule(config, 5); }, ErrorCode::invalid_argument),
              testing::HasSubstr("v_prediction"));
  config.prediction_type = PredictionType::v_prediction;
  EXPECT_NO_THROW(make_schedule(config, 5));
  // All timesteps coincide.
  EXPECT_THAT(message_of([&] { make_schedule(scheduler_config("dpmpp_2m"), 1000); }, ErrorCode::invalid_argument),
              testing::HasSubstr("use fewer steps"));
}

}  // namespace
}  // namespace tempera
