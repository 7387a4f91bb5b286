#include "bench_output.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

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
  EXPECT_THAT(table, HasSubstr("beside them                               0.5000     0.2500     0.7500    18.8%\n"));
  EXPECT_THAT(table, HasSubstr("stage                                     1.0000     3.0000     4.0000   100.0%\n"));
  const auto json = trace_json(Plan(), events, "t.json");
  EXPECT_EQ(json.at("file"), "t.json");
  EXPECT_EQ(json.at("stages").at(1).at("name"), "decode");
  EXPECT_EQ(json.at("ops").at(1).at("kernel"), "linear/row");
  EXPECT_FALSE(trace_json(Plan(), events, "").contains("file"));
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
