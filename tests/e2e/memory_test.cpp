// The promise of a plan, kept: what --json says of memory before and after, for a small SDXL of 120 MB (of the tiny
// one's memory most is the process), and pictures that do not depend on where the parameters were.
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <gtest/gtest.h>

#include <memory>
#include <nlohmann/json.hpp>
#include <span>

#include "image/png.h"
#include "program.h"
#include "tiny_model.h"

namespace tempera::test {
namespace {

using nlohmann::json;

// Beside 5 %: a plan holds for code, stacks, generated kernels, pages of the file and the vocabulary what full-size
// models take on any processor, more than this small one.
constexpr double kMore = 2e6, kLess = 16e6;

class Memory : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    folder_ = std::make_unique<TemporaryFolder>();
    const Ran ran = run_tempera({"synth", "--preset", "small", model()});
    ASSERT_EQ(ran.status, 0) << ran.err;
  }
  static void TearDownTestSuite() { folder_.reset(); }

  static std::string model() { return folder_->path() / "small"; }

  // The picture; what was measured is checked against what was planned.
  static std::vector<uint8_t> draw(const std::vector<std::string>& options) {
    const std::string picture = folder_->path() / "a.png";
    std::vector<std::string> words = {"generate", "a red apple", "--model",  model(),    "--device", "cpu",
                                      "--width",  "256",         "--height", "256",      "--steps",  "1",
                                      "--seed",   "7",           "--json",   "--output", picture};
    words.insert(words.end(), options.begin(), options.end());
    const Ran ran = run_tempera(words);
    EXPECT_EQ(ran.status, 0) << ran.err;
    const json memory = json::parse(ran.out).at("memory");
    const auto planned = memory.at("planned_peak_bytes").get<double>();
    const auto measured = memory.at("measured_peak_bytes").get<double>();
    const std::string said = fmt::format("{}: planned {:.1f} MB, measured {:.1f} MB", fmt::join(options, " "),
                                         planned / 1e6, measured / 1e6);
    EXPECT_LE(measured, 1.05 * planned + kMore) << said;
    EXPECT_GE(measured, 0.95 * planned - kLess) << said;
    const std::string bytes = read_file(picture);
    return read_png(std::as_bytes(std::span(bytes)), picture).image.rgb;
  }

  static inline std::unique_ptr<TemporaryFolder> folder_;
};

TEST_F(Memory, IsWhatThePlanSays) {
  const std::vector<uint8_t> resident = draw({"--offload", "none"});
  for (const char* offload : {"auto", "model", "sequential"})
    EXPECT_EQ(draw({"--offload", offload}), resident) << offload;
  draw({"--attention", "naive", "--eager"});
  draw({"--dtype", "bf16"});
  draw({"--vae-tiling"});
  draw({"--tiny-vae", "model"});
}

// From all of it to the least, where parameters travel through what activations leave free.
TEST_F(Memory, KeepsToItsBudget) {
  for (const char* budget : {"400MiB", "230MiB", "165MiB", "95MiB"}) draw({"--memory-budget", budget});
}

}  // namespace
}  // namespace tempera::test
