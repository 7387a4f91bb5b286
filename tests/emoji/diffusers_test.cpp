// The embedded model draws the same pictures in diffusers: those in tests/data/emoji/diffusers, which tools/train/
// draw_with_diffusers.py drew in float32, against tempera's of the same prompts, seed, steps and guidance. The bar:
// 8-bit values differ by 0.5 in the mean.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <nlohmann/json.hpp>

#include "base/json.h"
#include "glyphs.h"

namespace tempera::test {
namespace {

constexpr double kMostMean = 0.5;
constexpr size_t kLeastPictures = 8;

TEST(EmojiInDiffusers, IsTheSame) {
  const std::filesystem::path folder = std::filesystem::path(TEMPERA_TEST_DATA) / "emoji/diffusers";
  const nlohmann::json record = read_json_file(folder / "prompts.json");
  ASSERT_GE(record.at("prompts").size(), kLeastPictures);
  Pipeline pipeline({.model = emoji_model(), .dtype = "fp32"});
  for (const auto& [name, prompt] : record.at("prompts").items()) {
    const Image8 expected = read_picture(folder / (name + ".png"));
    const Result result = pipeline.generate({.prompt = prompt.get<std::string>(),
                                             .width = expected.width,
                                             .height = expected.height,
                                             .num_inference_steps = record.at("num_inference_steps").get<int>(),
                                             .guidance_scale = record.at("guidance_scale").get<double>(),
                                             .seed = record.at("seed").get<uint64_t>()});
    const std::vector<uint8_t>& rgb = result.images.at(0).rgb;
    ASSERT_EQ(rgb.size(), expected.rgb.size());
    double sum = 0;
    int largest = 0;
    for (size_t i = 0; i < rgb.size(); ++i) {
      const int apart = std::abs(rgb[i] - expected.rgb[i]);
      sum += apart;
      largest = std::max(largest, apart);
    }
    const double mean = sum / static_cast<double>(rgb.size());
    fmt::print("{:<12} mean {:.4f}, largest {}\n", name, mean, largest);
    EXPECT_LE(mean, kMostMean) << name;
  }
}

}  // namespace
}  // namespace tempera::test
