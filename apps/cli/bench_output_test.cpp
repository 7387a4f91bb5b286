#include "bench_output.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "child_process.h"
#include "table_rows.h"
#include "units.h"

namespace tempera::cli {
namespace {

using testing::HasSubstr;

OpTime time_of(const std::string& op, const std::string& shape, size_t calls, double seconds, double flops) {
  OpTime time{op, op + "/row", shape, calls, seconds, seconds / 2, flops, 5e6};
  time.arithmetic_seconds = flops / 1e12;
  time.memory_seconds = time.bytes / 1e10;
  time.floor_seconds = std::max(time.arithmetic_seconds, time.memory_seconds);
  return time;
}

// A program of 10 ms that runs 50 times: a product at half the arithmetic ceiling, additions at a tenth of the
// memory's.
BenchOps bench() {
  BenchOps bench{"a model", "a machine", "bf16", 64, 32, 2, "flash", false, 3, {}, {}};
  bench.ceilings = {{{"bf16", "linear/row", 2048, 1e12}}, {"add/row", size_t{384} << 20, 1e10}};
  BenchPart part{"unet", false, 50, 0.010, 0.009, {}, {}};
  part.shapes = {time_of("linear", "linear bf16[2x2]", 1, 0.004, 2e9), time_of("add", "add bf16[9]", 4, 0.005, 0)};
  part.groups = {time_of("add", "", 4, 0.005, 0), time_of("linear", "", 1, 0.004, 2e9)};
  bench.parts = {part};
  return bench;
}

TEST(OpsTable, GivesRatesAndSharesOfTheCeilings) {
  const std::string table = ops_table(bench());
  EXPECT_THAT(table, HasSubstr("ceilings   1000 GFLOP/s (linear/row, 2048x2048 bf16), 10.0 GB/s (add/row, 384 MiB)\n"));
  EXPECT_THAT(table, HasSubstr("unet                        50       5          10.0          9.00           0.500\n"));
  EXPECT_THAT(
      table,
      HasSubstr("linear/row                         1       4.00    44.4%       500     1.25     50.0%  arithmetic"));
  EXPECT_THAT(
      table,
      HasSubstr("add/row                            4       5.00    55.6%         -     1.00     10.0%  memory"));
  EXPECT_THAT(table, HasSubstr("arithmetic  linear/row linear bf16[2x2]\n"));
}

TEST(OpsJson, HoldsWhatTheTableHolds) {
  const auto json = ops_json(bench());
  EXPECT_EQ(json.at("ceilings").at("memory").at("bytes"), 384 << 20);
  const auto& part = json.at("parts").at(0);
  EXPECT_EQ(part.at("steps"), 5);
  EXPECT_DOUBLE_EQ(part.at("steps_seconds"), 0.009);
  EXPECT_EQ(part.at("groups").at(0).at("bound"), "memory");
  EXPECT_FALSE(part.at("groups").at(0).contains("shape"));
  EXPECT_EQ(part.at("shapes").at(0).at("shape"), "linear bf16[2x2]");
  EXPECT_EQ(part.at("shapes").at(0).at("bound"), "arithmetic");
}

nlohmann::ordered_json table_document() {
  return nlohmann::ordered_json::parse(R"({
    "command": "tempera bench table",
    "machine": {"device": "a machine", "memory_bytes": 2147483648},
    "conditions": {"model": "m", "prompt": "p", "width": 64, "height": 32, "images": 2, "steps": 3,
                   "guidance_scale": 5.0, "scheduler": "euler", "seed": 0, "runs": 3},
    "ceilings": {"arithmetic": [{"dtype": "f32", "kernel": "linear/row", "size": 64, "flops_per_second": 2e12}],
                 "memory": {"kernel": "add/row", "bytes": 1024, "bytes_per_second": 1e10}},
    "rows": [
      {"row": "fp32", "title": "one", "options": "--eager", "dtype": "fp32", "images": 2, "median_seconds": 12.345,
       "spread_seconds": 0.5, "first_picture_seconds": 123.4, "planned_peak_bytes": 1048576,
       "measured_peak_bytes": 1024, "ceiling_share": 0.831, "joules": 1234.5, "difference": null},
      {"row": "compiled", "title": "two", "options": "", "dtype": "bf16", "images": 1, "median_seconds": 1.5,
       "spread_seconds": 0.0, "first_picture_seconds": 2.0, "planned_peak_bytes": 1024, "measured_peak_bytes": 1024,
       "ceiling_share": 0.5, "joules": null, "difference": {"mean": 1.5, "max": 9, "psnr": 40.25}},
      {"row": "same", "title": "three", "options": "--x", "dtype": "fp32", "images": 1, "median_seconds": 1.5,
       "spread_seconds": 0.0, "first_picture_seconds": 2.0, "planned_peak_bytes": 1024, "measured_peak_bytes": 1024,
       "ceiling_share": 0.5, "joules": null, "difference": {"mean": 0.0, "max": 0, "psnr": null}},
      {"row": "tiny_vae", "title": "four", "options": "", "failed": "no such thing"}]})");
}

TEST(TableText, LinesUpWhatTheJsonHolds) {
  const std::string text = table_text(table_document());
  EXPECT_THAT(text, HasSubstr("device     a machine, 2.00 GiB\n"));
  EXPECT_THAT(text, HasSubstr("ceilings   2.00 TFLOP/s (linear/row, 64x64 f32), 10.0 GB/s (add/row, 1.00 KiB)\n"));
  EXPECT_THAT(text, HasSubstr("row                      dtype  pictures   seconds    spread     first   planned"));
  EXPECT_THAT(text,
              HasSubstr("fp32                      fp32         2      12.3     0.500       123  1.00 MiB  1.00 KiB"
                        "     83.1%      1234         -         -         -\n"));
  EXPECT_THAT(text, HasSubstr("     50.0%         -     1.500         9      40.2\n"));
  EXPECT_THAT(text, HasSubstr("     0.000         0     equal\n"));
  EXPECT_THAT(text, HasSubstr("tiny_vae                  failed: no such thing\n"));
}

TEST(TableMarkdown, HasOneLineForEachRow) {
  const std::string text = table_markdown(table_document());
  EXPECT_THAT(text, HasSubstr("\n| one | `--eager` | fp32 | 2 | 12.3 |"));
  EXPECT_THAT(text, HasSubstr("\n| two |  | bf16 | 1 | 1.50 |"));
  EXPECT_THAT(text, HasSubstr("\n| four |  | failed: no such thing | |"));
  for (size_t line = text.find("| row"), end; line < text.size(); line = end + 1) {
    end = text.find('\n', line);
    EXPECT_EQ(std::count(text.begin() + static_cast<long>(line), text.begin() + static_cast<long>(end), '|'), 15);
  }
}

TEST(TableRows, SayTheirOptionsForTheDevice) {
  EXPECT_EQ(row_options(find_rows("fp16").at(0), "cuda"), "--dtype fp16 --attention naive --eager --offload none");
  EXPECT_EQ(row_options(find_rows("fp16").at(0), "cpu"), "--dtype bf16 --attention naive --eager --offload none");
  EXPECT_EQ(row_options(find_rows("automatic").at(0), "cuda"), "");
  EXPECT_EQ(row_options(find_rows("budget_2gib").at(0), "cuda"), "--memory-budget 2GiB --images 1");
  EXPECT_EQ(find_rows("").size(), 13u);
  const auto rows = find_rows("compiled,fp32,compiled");
  ASSERT_EQ(rows.size(), 2u);
  EXPECT_EQ(rows[0].key, "fp32");
  EXPECT_THROW(find_rows("fp32,,fp16"), Error);
  const auto budgets = find_rows("within:80%,fp32,within:1.5GiB,within:80%");
  ASSERT_EQ(budgets.size(), 3u);
  EXPECT_EQ(budgets[0].key, "fp32");
  EXPECT_EQ(budgets[1].key, "within:80%");
  EXPECT_EQ(row_options(budgets[2], "cuda"), "--memory-budget 1.5GiB");
  for (const char* wrong : {"within:", "within:../4GiB", "within"}) EXPECT_THROW(find_rows(wrong), Error);
  EngineOptions own;
  own.tiny_vae = "elsewhere";
  EXPECT_EQ(row_engine(find_rows("tiny_vae").at(0), own, "cpu").tiny_vae, "elsewhere");
  EXPECT_EQ(row_engine(find_rows("compiled").at(0), own, "cpu").tiny_vae, "");
}

TEST(TableRows, TakeTheConditionsOfTheTable) {
  const EngineOptions table{.model = "m",
                            .variant = "fp16",
                            .device = "cpu",
                            .dtype = "fp32",
                            .eager = true,
                            .threads = 3,
                            .offload = "model",
                            .memory_budget = "1GiB"};
  const EngineOptions row = row_engine(find_rows("tiny_vae").at(0), table, "cpu");
  EXPECT_EQ(row.model, "m");
  EXPECT_EQ(row.variant, "fp16");
  EXPECT_EQ(row.device, "cpu");
  EXPECT_EQ(row.threads, 3);
  EXPECT_EQ(row.dtype, "bf16");
  EXPECT_FALSE(row.eager);
  EXPECT_EQ(row.offload, "none");
  EXPECT_EQ(row.memory_budget, "");
  EXPECT_EQ(row.tiny_vae, "model");
}

TEST(ShellWords, CanBeTypedAgain) {
  EXPECT_EQ(shell_words({"tempera", "--rows=a,b", "it's a", "", "$x"}), "tempera --rows=a,b 'it'\\''s a' '' '$x'");
}

TEST(TraceTable, AddsUpByKernelAndStage) {
  using enum TraceEvent::Kind;
  const std::vector<TraceEvent> events = {{step, "text", "t", "add", "add/row", "s", 0.1, 0.5},
                                          {run, "text", "t", "", "", "", 0.1, 0.6},
                                          {stage, "text", "", "", "", "", 0, 1},
                                          {step, "decode", "d", "add", "add/row", "s", 2, 1},
                                          {step, "decode", "d", "linear", "linear/row", "s", 3, 1.75},
                                          {stage, "decode", "", "", "", "", 2, 3}};
  const std::string table = trace_table(Plan(), events);
  EXPECT_THAT(table, HasSubstr("seconds                         calls       text     decode      total    share\n"));
  EXPECT_THAT(table, HasSubstr("add/row                             2     0.5000     1.0000     1.5000    37.5%\n"));
  EXPECT_THAT(table, HasSubstr("linear/row                          1                1.7500     1.7500    43.8%\n"));
  EXPECT_THAT(table, HasSubstr("all kernels                         3     0.5000     2.7500     3.2500    81.2%\n"));
  EXPECT_THAT(table, HasSubstr("outside kernels                           0.5000     0.2500     0.7500    18.8%\n"));
  EXPECT_THAT(table, HasSubstr("stage                                     1.0000     3.0000     4.0000   100.0%\n"));
  const auto json = trace_json(Plan(), events, "t.json");
  EXPECT_EQ(json.at("file"), "t.json");
  EXPECT_EQ(json.at("stages").at(1).at("name"), "decode");
  EXPECT_EQ(json.at("ops").at(1).at("kernel"), "linear/row");
  EXPECT_FALSE(trace_json(Plan(), events, "").contains("file"));
}

TEST(AlgorithmsTable, GroupsByCardAndLibraryTheSlowestFirst) {
  AlgorithmChoices all{"/cache/choices.txt", {}};
  all.choices = {{"Card A", "cuBLASLt 13.2.0", "linear 1x2x3", "cuBLASLt", 0, 12.34e-6},
                 {"Card A", "cuBLASLt 13.2.0", "product 9x9x9", "hopper_product 1: 128x256", 2, 1234.5e-6},
                 {"Card A", "cuDNN 9.1.0", "convolution 1x2", "cuDNN engine 38", 3, 5e-6},
                 {"Card B", "cuDNN 9.1.0", "convolution 1x2", "cuDNN engine 7", 0, 6e-6}};
  EXPECT_EQ(algorithms_table(all),
            "/cache/choices.txt\n"
            "\n"
            "Card A, cuBLASLt 13.2.0\n"
            "microseconds  algorithm                  problem\n"
            "      1234.5  hopper_product 1: 128x256  product 9x9x9\n"
            "        12.3  cuBLASLt                   linear 1x2x3\n"
            "\n"
            "Card A, cuDNN 9.1.0\n"
            "microseconds  algorithm        problem\n"
            "         5.0  cuDNN engine 38  convolution 1x2\n"
            "\n"
            "Card B, cuDNN 9.1.0\n"
            "microseconds  algorithm       problem\n"
            "         6.0  cuDNN engine 7  convolution 1x2\n");
  const auto json = algorithms_json(all);
  EXPECT_EQ(json.at("file"), "/cache/choices.txt");
  EXPECT_EQ(json.at("choices").size(), 4u);
  EXPECT_EQ(json.at("choices").at(2).at("algorithm"), "cuDNN engine 38");
  EXPECT_EQ(json.at("choices").at(2).at("candidate"), 3);
  EXPECT_EQ(json.at("choices").at(2).at("seconds"), 5e-6);
}

TEST(AlgorithmsTable, SaysInOneSentenceThatThereAreNone) {
  EXPECT_EQ(algorithms_table({"/cache/choices.txt", {}}),
            "/cache/choices.txt holds no choices: a card makes them when it first runs a problem\n");
  EXPECT_EQ(algorithms_table({}), "no choices are kept: neither XDG_CACHE_HOME nor HOME is set\n");
}

TEST(Units, KeepThreeDigitsOfMilliseconds) {
  EXPECT_EQ(format_milliseconds(1.5), "1500");
  EXPECT_EQ(format_milliseconds(0.0123), "12.3");
  EXPECT_EQ(format_milliseconds(0.00123), "1.23");
  EXPECT_EQ(format_milliseconds(0.0000123), "0.0123");
  EXPECT_EQ(format_percent(1, 8), "12.5%");
  EXPECT_EQ(format_percent(1, 0), "-");
}

}  // namespace
}  // namespace tempera::cli
