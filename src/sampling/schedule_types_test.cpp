// The sigmas of schedule types against their definitions, on SDXL's training table in double precision.
#include "sampling/schedule_types.h"

#include <gtest/gtest.h>

#include <cmath>
#include <string>

#include "sampling/names.h"
#include "sampling/schedule.h"

namespace tempera {
namespace {

std::vector<double> sdxl_table() {
  std::vector<double> table;
  double product = 1;
  for (int t = 0; t < 1000; ++t) {
    const double root = std::sqrt(0.00085) + t / 999.0 * (std::sqrt(0.012) - std::sqrt(0.00085));
    product *= 1 - root * root;
    table.push_back(std::sqrt((1 - product) / product));
  }
  return table;
}
const std::vector<double> kTable = sdxl_table();

double log_interpolated(double t) {
  const auto i = static_cast<size_t>(t);
  if (i == 999) return kTable[999];
  return std::pow(kTable[i], 1 - (t - std::floor(t))) * std::pow(kTable[i + 1], t - std::floor(t));
}

std::vector<double> sigmas_of(const std::string& name, int steps) {
  return make_schedule(scheduler_config(name), steps).sigmas;
}

// With the 0 at the end.
void expect_sigmas(const std::string& schedule, int steps, std::vector<double> expected) {
  expected.push_back(0);
  for (const char* sampler : {"euler", "dpmpp_2m"}) {
    const std::vector<double> found = sigmas_of(sampler + (" " + schedule), steps);
    ASSERT_EQ(found.size(), expected.size()) << schedule;
    for (size_t i = 0; i < found.size(); ++i)
      EXPECT_NEAR(found[i], expected[i], 2e-5 * expected[i]) << schedule << " " << i;
  }
}

TEST(ScheduleTypes, EvenTimesteps) {
  for (const int steps : {2, 7, 20, 30}) {
    std::vector<double> normal, sgm_uniform;
    for (int i = 0; i < steps; ++i) {
      normal.push_back(log_interpolated(999 - 999.0 * i / (steps - 1)));
      sgm_uniform.push_back(log_interpolated(999 - 999.0 * i / steps));
    }
    expect_sigmas("normal", steps, normal);
    expect_sigmas("sgm_uniform", steps, sgm_uniform);
  }
}

TEST(ScheduleTypes, Indices) {
  expect_sigmas("simple", 4, {kTable[999], kTable[749], kTable[499], kTable[249]});
  expect_sigmas("simple", 3, {kTable[999], kTable[666], kTable[333]});
  expect_sigmas("ddim_uniform", 4, {kTable[751], kTable[501], kTable[251], kTable[1]});
  // 1000 is not a multiple of 7: every 142nd, of which there are 8.
  expect_sigmas("ddim_uniform", 7,
                {kTable[995], kTable[853], kTable[711], kTable[569], kTable[427], kTable[285], kTable[143], kTable[1]});
}

// The integral of the density of the beta distribution (0.6, 0.6) from 0 to x, with u = s^0.6 in place of s.
double beta_distribution(double x) {
  const double whole = std::tgamma(0.6) * std::tgamma(0.6) / std::tgamma(1.2);
  if (x > 0.5) return 1 - beta_distribution(1 - x);
  if (x <= 0) return 0;
  constexpr int kIntervals = 2000;
  const double width = std::pow(x, 0.6) / kIntervals;
  double sum = 0;
  for (int i = 0; i < kIntervals; ++i) sum += width * std::pow(1 - std::pow((i + 0.5) * width, 1 / 0.6), -0.4);
  return sum / 0.6 / whole;
}

TEST(ScheduleTypes, BetaQuantiles) {
  for (const int steps : {5, 20, 33}) {
    const std::vector<double> found = sigmas_of("euler beta", steps);
    ASSERT_EQ(found.size(), static_cast<size_t>(steps) + 1);
    EXPECT_EQ(found.back(), 0);
    for (int i = 0; i < steps; ++i) {
      int index = 0;
      while (index < 999 && kTable[static_cast<size_t>(index)] < found[static_cast<size_t>(i)] * (1 - 1e-4)) ++index;
      ASSERT_NEAR(found[static_cast<size_t>(i)], kTable[static_cast<size_t>(index)], 1e-4) << i;
      const double p = 1 - static_cast<double>(i) / steps;
      EXPECT_LE(beta_distribution((index - 0.501) / 999), p) << i;
      if (index < 999) {
        EXPECT_GE(beta_distribution((index + 0.501) / 999), p) << i;
      }
    }
  }
  // Equal indices count once: near the ends, 1000 quantiles share some.
  const size_t count = sigmas_of("euler beta", 1000).size();
  EXPECT_LT(count, 1000u);
  EXPECT_GT(count, 500u);
}

TEST(ScheduleTypes, BetweenArcusTangents) {
  std::vector<double> expected(6);
  for (size_t i = 0; i < 6; ++i) {
    const auto share = static_cast<double>(i) / 5;
    expected[i] = std::tan(std::atan(kTable[999]) * (1 - share) + std::atan(kTable[0]) * share);
  }
  expect_sigmas("kl_optimal", 6, expected);
}

TEST(ScheduleTypes, AlignYourSteps) {
  const std::vector<double> ten = {14.6146412293, 6.3184485287, 3.7681790315, 2.1811480769, 1.3405244945,
                                   0.8620721141,  0.5550693289, 0.3798540708, 0.2332364134, 0.1114188177};
  expect_sigmas("align_your_steps", 10, ten);
  expect_sigmas("ays", 5, {ten[0], ten[2], ten[4], ten[6], ten[8]});
  const std::vector<double> twenty = sigmas_of("euler ays", 20);
  ASSERT_EQ(twenty.size(), 21u);
  for (size_t i = 0; i + 1 < ten.size(); ++i) {
    EXPECT_NEAR(twenty[2 * i], ten[i], 1e-6);
    EXPECT_NEAR(twenty[2 * i + 1], std::sqrt(ten[i] * ten[i + 1]), 1e-5);
  }
  EXPECT_EQ(twenty.back(), 0);
}

TEST(ScheduleTypes, TimestepsFollowTheSigmas) {
  const Schedule euler = make_schedule(scheduler_config("euler sgm_uniform"), 8);
  const Schedule solver = make_schedule(scheduler_config("dpmpp_2m sgm_uniform"), 8);
  for (size_t i = 0; i < 8; ++i) {
    const double t = 999 - 999.0 * static_cast<double>(i) / 8;
    EXPECT_NEAR(euler.evaluations[i].timestep, t, 1e-2);
    EXPECT_NEAR(solver.evaluations[i].timestep, std::round(t), 1.01e-3 + (t == std::floor(t) ? 0 : 1)) << "whole";
    EXPECT_EQ(solver.evaluations[i].timestep, std::round(solver.evaluations[i].timestep));
  }
}

}  // namespace
}  // namespace tempera
