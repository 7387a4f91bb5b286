// Planned and measured memory, by --json: of a small SDXL of 120 MB and of the model that is part of tempera. Pictures
// must not depend on where the parameters are.
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <gtest/gtest.h>

#include <memory>
#include <nlohmann/json.hpp>
#include <span>

#include "image/picture_file.h"
#include "program.h"
#include "tiny_model.h"

namespace tempera::test {
namespace {

using nlohmann::json;

// The allowed difference of the measured peak from the plan: a share of the plan, and bytes. The measured peak is of
// one stage, while the plan includes 8 MB for the copies of parameters, even if another stage makes them. The size of
// oneDNN's generated code depends on the processor.
struct Bounds {
  double share, more, less;
};
constexpr Bounds kSmall{0.05, 2e6, 9e6}, kEmbedded{0.03, 2e6, 2e6};

class Memory : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    folder_ = std::make_unique<TemporaryFolder>();
    const Ran ran = run_tempera({"synth", "--preset", "small", model()});
    ASSERT_EQ(ran.status, 0) << ran.err;
  }
  static void TearDownTestSuite() { folder_.reset(); }

  static std::string model() { return folder_->path() / "small"; }

  // The picture of 256 x 256. Checks measured against planned memory.
  static std::vector<uint8_t> draw(std::vector<std::string> options) {
    options.insert(options.begin(), {"--model", model()});
    return draw_by_default(options, kSmall);
  }

  // The same for the model that is part of tempera, unless the options name another.
  static std::vector<uint8_t> draw_by_default(const std::vector<std::string>& options,
                                              const Bounds& bounds = kEmbedded) {
    const std::string picture = folder_->path() / "a.png";
    std::vector<std::string> words = {"generate", "a red apple", "--device", "cpu",      "--width",
                                      "256",      "--height",    "256",      "--steps",  "1",
                                      "--seed",   "7",           "--json",   "--output", picture};
    words.insert(words.end(), options.begin(), options.end());
    const Ran ran = run_tempera(words);
    EXPECT_EQ(ran.status, 0) << ran.err;
    const json memory = json::parse(ran.out).at("memory");
    const auto planned = memory.at("planned_peak_bytes").get<double>();
    const auto measured = memory.at("measured_peak_bytes").get<double>();
    const std::string said = fmt::format("{}: planned {:.1f} MB, measured {:.1f} MB", fmt::join(options, " "),
                                         planned / 1e6, measured / 1e6);
    fmt::print("{}\n", said);
    EXPECT_LE(measured, (1 + bounds.share) * planned + bounds.more) << said;
    EXPECT_GE(measured, (1 - bounds.share) * planned - bounds.less) << said;
    const std::string bytes = read_file(picture);
    return read_picture(std::as_bytes(std::span(bytes)), picture).image.rgb;
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

// From the whole memory to the minimum, at which parameters are copied into memory that activations leave free.
TEST_F(Memory, KeepsToItsBudget) {
  for (const char* budget : {"400MiB", "230MiB", "165MiB", "95MiB"}) draw({"--memory-budget", budget});
}

TEST_F(Memory, OfTheEmbeddedModelIsWhatThePlanSays) {
  for (const char* offload : {"none", "auto", "model", "sequential"}) draw_by_default({"--offload", offload});
  draw_by_default({"--dtype", "fp32"});
  draw_by_default({"--images", "4"});
  draw_by_default({"--eager"});
  draw_by_default({"--tiny-vae", "model"});
  draw_by_default({"--vae-tiling", "--vae-tile-size", "128"});
  draw_by_default({"--memory-budget", "60MiB"});
}

// Quantised weights are read piece by piece: the file is never in memory next to its packed copy.
TEST_F(Memory, OfQuantisedFilesIsWhatThePlanSays) {
  for (const auto& [name, dtype] : {std::pair{"fp8.safetensors", "fp8"}, std::pair{"q4.gguf", "q4_k"}}) {
    const std::string file = folder_->path() / name;
    const Ran ran = run_tempera({"synth", "--preset", "small", "--dtype", dtype, file});
    ASSERT_EQ(ran.status, 0) << ran.err;
    draw({"--unet", file});
    draw({"--unet", file, "--offload", "sequential"});
  }
}

}  // namespace
}  // namespace tempera::test
