// What `bench` measures and writes, as a user gets it: every step once, sums that agree, files that viewers read.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <nlohmann/json.hpp>

#include "program.h"
#include "tiny_model.h"

namespace tempera::test {
namespace {

using nlohmann::json;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

const std::vector<std::string> kSmall = {"--width", "64",   "--height", "64",  "--steps",   "2",
                                         "--dtype", "fp32", "--device", "cpu", "--threads", "1"};

std::vector<std::string> with(std::vector<std::string> arguments, const std::vector<std::string>& more) {
  arguments.insert(arguments.end(), kSmall.begin(), kSmall.end());
  arguments.insert(arguments.end(), more.begin(), more.end());
  return arguments;
}

json json_of(const std::vector<std::string>& arguments, const Surroundings& surroundings = {}) {
  const Ran ran = run_tempera(arguments, surroundings);
  EXPECT_EQ(ran.status, 0) << ran.err;
  EXPECT_EQ(ran.err, "");
  return json::parse(ran.out);
}

double sum(const json& list, const char* field) {
  double total = 0;
  for (const json& one : list) total += one.at(field).get<double>();
  return total;
}

TEST(BenchOps, MeasuresEveryStepOfThePlan) {
  const json bench = json_of(with({"bench", "ops", "--preset", "tiny"}, {"--repeats", "2", "--json"}));
  const json plan = json_of(with({"plan", "--preset", "tiny"}, {"--json"}));
  EXPECT_EQ(bench.at("model"), "tiny");
  EXPECT_EQ(bench.at("repeats"), 2);
  EXPECT_EQ(bench.at("dtype"), "f32");
  const json& ceilings = bench.at("ceilings");
  ASSERT_EQ(ceilings.at("arithmetic").size(), 1u);
  EXPECT_EQ(ceilings.at("arithmetic").at(0).at("dtype"), "f32");
  EXPECT_GT(ceilings.at("arithmetic").at(0).at("flops_per_second"), 0);
  EXPECT_GT(ceilings.at("memory").at("bytes_per_second"), 0);

  std::map<std::string, json> once, runs;
  for (const json& part : bench.at("parts")) (part.at("once") ? once : runs)[part.at("component")] = part;
  ASSERT_EQ(runs.size(), plan.at("stages").size());
  for (const json& stage : plan.at("stages")) {
    const json& part = runs.at(stage.at("name"));
    EXPECT_EQ(part.at("steps"), stage.at("steps"));
    EXPECT_EQ(part.at("runs"), stage.at("runs"));
    EXPECT_EQ(part.at("flops"), stage.at("flops"));
    EXPECT_EQ(sum(part.at("groups"), "calls"), part.at("steps"));
    EXPECT_EQ(sum(part.at("shapes"), "calls"), part.at("steps"));
    EXPECT_NEAR(sum(part.at("groups"), "seconds"), part.at("steps_seconds"), 1e-9);
    EXPECT_NEAR(sum(part.at("shapes"), "seconds"), part.at("steps_seconds"), 1e-9);
    EXPECT_GE(part.at("whole_seconds"), part.at("least_whole_seconds"));
    EXPECT_GT(part.at("least_whole_seconds"), 0);
    EXPECT_GT(part.at("floor_seconds"), 0);
  }
  EXPECT_EQ(once.at("unet").at("steps"), plan.at("stages").at(2).at("prologue"));
}

TEST(BenchOps, PrintsATableForOneComponent) {
  const Ran ran = run_tempera(
      with({"bench", "ops", "--preset", "tiny"}, {"--repeats", "1", "--component", "text_encoder", "--eager"}));
  EXPECT_EQ(ran.status, 0) << ran.err;
  for (const char* word : {"ceilings", "GB/s", "text_encoder: one run", "attention/", "slowest shapes", "eager"})
    EXPECT_THAT(ran.out, HasSubstr(word));
  EXPECT_THAT(ran.out, testing::Not(HasSubstr("unet")));
}

TEST(BenchTrace, HoldsEveryStepOfTheGeneration) {
  const TemporaryFolder folder;
  Surroundings here;
  here.folder = folder.path();
  const json result =
      json_of(with({"bench", "trace", "--model", tiny_folder()}, {"--output", "t.json", "--json"}), here);
  EXPECT_THAT(folder.names(), ElementsAre("t.json"));
  EXPECT_EQ(result.at("file"), "t.json");

  size_t expected = 0, prologue = 0;
  for (const json& stage : result.at("plan").at("stages")) {
    expected += stage.at("steps").get<size_t>() * stage.at("runs").get<size_t>();
    prologue += stage.at("prologue").get<size_t>();
  }
  EXPECT_EQ(sum(result.at("ops"), "calls"), static_cast<double>(expected + prologue));

  std::map<std::string, double> stages, steps;
  size_t step_events = 0;
  const json trace = json::parse(read_file(folder.path() / "t.json"));
  for (const json& event : trace.at("traceEvents")) {
    if (event.at("ph") != "X") continue;
    const double seconds = event.at("dur").get<double>() / 1e6;
    if (event.at("cat") == "stage") stages[event.at("name")] += seconds;
    if (event.at("cat") != "step") continue;
    ++step_events;
    const std::string component = event.at("args").at("component");
    steps[component.starts_with("unet") ? "denoise" : component == "vae_decoder" ? "decode" : "text"] += seconds;
  }
  EXPECT_EQ(step_events, expected + prologue);
  for (const json& stage : result.at("stages"))
    EXPECT_NEAR(stages.at(stage.at("name")), stage.at("seconds"), 1e-6) << stage;
  for (const char* stage : {"text", "denoise", "decode"}) {
    EXPECT_LE(steps.at(stage), stages.at(stage)) << stage;
    EXPECT_GT(steps.at(stage), 0) << stage;
  }
  EXPECT_GT(steps.at("decode"), stages.at("decode") / 2);  // it does little else
}

TEST(BenchTrace, WritesNothingWithoutOutput) {
  const TemporaryFolder folder;
  Surroundings here;
  here.folder = folder.path();
  const Ran ran = run_tempera(with({"bench", "trace", "a red apple", "--model", tiny_folder()}, {}), here);
  EXPECT_EQ(ran.status, 0) << ran.err;
  for (const char* word : {"seconds", "conv2d/", "all kernels", "beside them", "denoise", "decode", "load"})
    EXPECT_THAT(ran.out, HasSubstr(word));
  EXPECT_THAT(folder.names(), IsEmpty());
}

}  // namespace
}  // namespace tempera::test
