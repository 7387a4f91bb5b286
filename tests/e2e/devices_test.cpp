// The devices of a build: plans for any device, and one sentence about a backend that the build does not have.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "program.h"

namespace tempera::test {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;

constexpr bool kHasCpu = TEMPERA_HAS_CPU != 0;

Ran plan_for(const std::string& device) {
  return run_tempera({"plan", "--preset", "sdxl-base", "--device", device, "--json"});
}

void expect_plan(const Ran& ran, const std::string& device) {
  ASSERT_EQ(ran.status, 0) << ran.err;
  EXPECT_THAT(ran.err, IsEmpty());
  EXPECT_EQ(nlohmann::json::parse(ran.out).at("device"), device);
}

// One line with the option to build with.
void expect_no_cpu(const Ran& ran) {
  EXPECT_EQ(ran.status, 2);
  EXPECT_THAT(ran.err, testing::StartsWith("tempera: error: --device "));
  EXPECT_THAT(ran.err, HasSubstr("build with -DTEMPERA_CPU=ON"));
  EXPECT_THAT(ran.err, testing::MatchesRegex("[^\n]*\n"));
}

TEST(Devices, PlansForACardNeedNone) {
  expect_plan(plan_for("cuda"), "cuda");
}

TEST(Devices, WithoutACardAutomaticIsTheOtherDevice) {
  if (std::filesystem::exists("/dev/nvidia0")) GTEST_SKIP() << "there is a card";
  expect_plan(plan_for("auto"), kHasCpu ? "cpu" : "cuda");
  const Ran asked = run_tempera({"generate", "x", "--device", "cuda"});
  EXPECT_EQ(asked.status, 2);
  EXPECT_THAT(asked.err, testing::StartsWith("tempera: error: --device cuda"));
  EXPECT_EQ(asked.err.ends_with("; --device cpu needs no card\n"), kHasCpu) << asked.err;
}

TEST(Devices, SaysThatThereIsNoCpuBackend) {
  if (kHasCpu) GTEST_SKIP() << "there is one";
  expect_no_cpu(run_tempera({"plan", "--preset", "sdxl-base", "--device", "cpu"}));
  expect_no_cpu(run_tempera({"generate", "x", "--device", "cpu"}));
  expect_no_cpu(run_tempera({"generate", "x", "--device", "cpu", "--dtype", "fp32"}));
}

}  // namespace
}  // namespace tempera::test
