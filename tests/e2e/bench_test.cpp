// The measurements and files of `bench`: every step occurs once, sums agree, and viewers can read the files.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <csignal>
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

// This request encodes no picture.
TEST(BenchOps, MeasuresTheEncoder) {
  const json bench =
      json_of(with({"bench", "ops", "--preset", "tiny"}, {"--repeats", "1", "--component", "vae_encoder", "--json"}));
  ASSERT_EQ(bench.at("parts").size(), 1u);
  const json& part = bench.at("parts").at(0);
  EXPECT_EQ(part.at("component"), "vae_encoder");
  EXPECT_EQ(part.at("runs"), 1);
  EXPECT_GT(part.at("flops"), 0);
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
  EXPECT_GT(steps.at("decode"), stages.at("decode") / 2);  // decoding is most of this stage
}

TEST(BenchTrace, HoldsTheCopiesBesideTheSteps) {
  const TemporaryFolder folder;
  Surroundings here;
  here.folder = folder.path();
  const json result = json_of(
      with({"bench", "trace", "--model", tiny_folder()}, {"--offload", "sequential", "--output", "t.json", "--json"}),
      here);
  double bytes = 0;
  int tracks = 0;
  const json trace = json::parse(read_file(folder.path() / "t.json"));
  for (const json& event : trace.at("traceEvents")) {
    tracks += event.at("ph") == "M" && event.at("args").at("name") == "copies";
    if (event.at("ph") == "X" && event.at("cat") == "copy") bytes += event.at("args").at("bytes").get<double>();
  }
  EXPECT_EQ(tracks, 1);
  EXPECT_GT(bytes, 0);
  EXPECT_EQ(result.at("copies").at("bytes"), bytes);
  EXPECT_GE(result.at("copies").at("waited_seconds"), 0);
}

TEST(BenchTrace, WritesNothingWithoutOutput) {
  const TemporaryFolder folder;
  Surroundings here;
  here.folder = folder.path();
  const Ran ran = run_tempera(with({"bench", "trace", "a red apple", "--model", tiny_folder()}, {}), here);
  EXPECT_EQ(ran.status, 0) << ran.err;
  for (const char* word : {"seconds", "conv2d/", "all kernels", "outside kernels", "denoise", "decode", "load"})
    EXPECT_THAT(ran.out, HasSubstr(word));
  EXPECT_THAT(folder.names(), IsEmpty());
}

// A table of the small model that is part of tempera. Its pictures have content, so that a wrong kernel is found.
std::vector<std::string> table(const std::vector<std::string>& more) {
  std::vector<std::string> all = {"bench", "table",   "--quick", "--width",  "128", "--height",
                                  "128",   "--steps", "3",       "--device", "cpu"};
  all.insert(all.end(), more.begin(), more.end());
  return all;
}

TEST(BenchTable, MeasuresTheRowsAskedFor) {
  const TemporaryFolder folder;
  Surroundings here;
  here.folder = folder.path();
  const json document =
      json_of(table({"--rows", "tiny_vae,compiled,fp32,prompt_embeds,one_picture", "--json", "-o", "t.json"}), here);
  EXPECT_EQ(json::parse(read_file(folder.path() / "t.json")), document);
  EXPECT_THAT(folder.names(), ElementsAre("t.json"));
  EXPECT_EQ(document.at("schema"), "tempera-bench-table/1");
  EXPECT_EQ(document.at("engine"), "tempera");
  EXPECT_THAT(document.at("command").get<std::string>(), HasSubstr("tempera bench table --quick --width 128"));
  EXPECT_EQ(document.at("conditions").at("model"), "emoji-xl");
  EXPECT_GT(document.at("machine").at("memory_bytes"), 0);

  std::map<std::string, json> rows;
  std::vector<std::string> order;
  for (const json& row : document.at("rows")) {
    rows[row.at("row")] = row;
    order.push_back(row.at("row"));
    EXPECT_FALSE(row.contains("failed")) << row;
    ASSERT_EQ(row.at("seconds").size(), 2u);
    EXPECT_EQ(row.at("median_seconds"), row.at("seconds").at(1));
    EXPECT_EQ(row.at("spread_seconds"), 0);
    EXPECT_GT(row.at("median_seconds"), 0);
    EXPECT_GT(row.at("first_picture_seconds"), row.at("seconds").at(0));
    EXPECT_GT(row.at("planned_peak_bytes"), 0);
    EXPECT_GT(row.at("measured_peak_bytes"), size_t{10} << 20);
    EXPECT_EQ(row.at("measured_by"), "resident set");
    EXPECT_GT(row.at("ceiling_share"), 0);
    EXPECT_LT(row.at("ceiling_share"), 1.5);
  }
  EXPECT_THAT(order, ElementsAre("fp32", "compiled", "prompt_embeds", "tiny_vae", "one_picture"));
  EXPECT_EQ(rows.at("fp32").at("options"), "--dtype fp32 --attention naive --eager --offload none");
  EXPECT_EQ(rows.at("compiled").at("dtype"), "bf16");
  EXPECT_TRUE(rows.at("fp32").at("difference").is_null());
  // Other rounding, the same picture. Another prompt or seed gives 10 to 12 dB, a guidance scale of 6 gives 17.
  EXPECT_GT(rows.at("compiled").at("difference").at("psnr"), 28);
  EXPECT_LT(rows.at("compiled").at("difference").at("mean"), 4);
  EXPECT_GT(rows.at("compiled").at("difference").at("max"), 0);
  EXPECT_GT(rows.at("tiny_vae").at("difference").at("mean"), rows.at("compiled").at("difference").at("mean"));
  EXPECT_LT(rows.at("tiny_vae").at("flops"), rows.at("compiled").at("flops"));
  EXPECT_EQ(rows.at("prompt_embeds").at("difference"), rows.at("compiled").at("difference"));
  EXPECT_THAT(rows.at("prompt_embeds").at("options").get<std::string>(), HasSubstr("--prompt-embeds"));
  EXPECT_FALSE(rows.at("prompt_embeds").at("stages").contains("text"));
  // Fewer pictures are compared with those of the same seeds.
  EXPECT_EQ(rows.at("one_picture").at("images"), 1);
  EXPECT_EQ(rows.at("compiled").at("images"), 2);
  EXPECT_GT(rows.at("one_picture").at("difference").at("psnr"), 25);
}

// Its random weights are written for the table into a folder that is removed afterwards.
TEST(BenchTable, GoesOnAfterARowThatFails) {
  const std::filesystem::path no_tiny_vae = "/nonexistent/tiny";
  const Ran ran =
      run_tempera({"bench", "table", "--quick", "--preset", "tiny", "--width", "64", "--height", "64", "--device",
                   "cpu", "--rows", "tiny_vae,automatic", "--tiny-vae", no_tiny_vae, "--markdown"});
  EXPECT_EQ(ran.status, 1) << ran.err;
  EXPECT_THAT(ran.out, HasSubstr("failed: there is no tiny autoencoder '/nonexistent/tiny'"));
  EXPECT_THAT(ran.out, HasSubstr("tiny (random weights)"));
  EXPECT_THAT(ran.out, testing::ContainsRegex("[|] tempera without options [|]  [|] [a-z0-9]+ [|] 2 [|] [0-9.]+ [|]"));
}

TEST(BenchTable, RefusesWhatCannotBe) {
  const std::vector<std::pair<std::vector<std::string>, std::string>> cases = {
      {{"--rows", "fp32,fp64"}, "--rows names 'fp64': give some of fp32, fp16, "},
      {{"--runs", "0"}, "--runs is '0': give a number from 1 to 1000"},
      {{"--json", "--markdown"}, "--json and --markdown are both given"},
      {{"--scheduler", "nosuch"}, "nosuch"},
      {{"--model", "/nonexistent"}, "/nonexistent"}};
  for (const auto& [more, sentence] : cases) {
    const Ran ran = run_tempera(table(more));
    EXPECT_EQ(ran.status, 2) << sentence;
    EXPECT_THAT(ran.err, HasSubstr(sentence));
    EXPECT_EQ(std::count(ran.err.begin(), ran.err.end(), '\n'), 1) << ran.err;
  }
}

TEST(BenchTable, KeepsWhatWasMeasuredWhenStopped) {
  const TemporaryFolder folder;
  Surroundings here;
  here.folder = folder.path();
  here.terminal = true;
  bool sent = false;
  here.on_error_text = [&sent](std::string_view err, pid_t process) {
    if (sent || err.find("automatic") == std::string_view::npos) return;
    sent = true;
    kill(process, SIGINT);
  };
  const Ran ran = run_tempera({"bench", "table", "--quick", "--preset", "tiny", "--width", "64", "--height", "64",
                               "--device", "cpu", "--rows", "fp32,automatic", "--runs", "2", "-o", "t.json"},
                              here);
  EXPECT_TRUE(sent) << ran.err;
  EXPECT_EQ(ran.status, 130);
  const json rows = json::parse(read_file(folder.path() / "t.json")).at("rows");
  ASSERT_EQ(rows.size(), 1u);
  EXPECT_EQ(rows.at(0).at("row"), "fp32");
  EXPECT_THAT(folder.names(), ElementsAre("t.json"));
}

}  // namespace
}  // namespace tempera::test
