// The embedded model draws the same pictures in tempera and in diffusers. tools/draw_with_diffusers.py made those in
// tests/data/emoji/diffusers in float32: pictures of the model's own size (slow), and small ones with every scheduler
// and every option that changes a picture.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <set>

#include "base/json.h"
#include "glyphs.h"

namespace tempera::test {
namespace {

// In levels of 255.
constexpr double kMostMean = 0.5;
constexpr int kMostAnywhere = 3;

const std::filesystem::path kFolder = std::filesystem::path(TEMPERA_TEST_DATA) / "emoji/diffusers";

nlohmann::json cases() {
  return read_json_file(kFolder / "cases.json");
}

bool is_small(const nlohmann::json& request) {
  return request.contains("width");
}

Request request_of(const nlohmann::json& fields) {
  Request request;
  EngineOptions engine;
  const auto known = request_fields();
  for (const auto& [name, value] : fields.items()) {
    const auto field =
        std::find_if(known.begin(), known.end(), [&, &of = name](const Field& f) { return f.name == of; });
    if (field == known.end()) throw std::invalid_argument("cases.json: there is no field " + name);
    field->set(request, engine, value.is_string() ? value.get<std::string>() : value.dump());
  }
  return request;
}

void expect_same(const Image& image, const std::string& name) {
  const Image8 expected = load_picture(kFolder / (name + ".png")).image;
  ASSERT_EQ(image.width, expected.width) << name;
  ASSERT_EQ(image.height, expected.height) << name;
  double sum = 0;
  int largest = 0;
  for (size_t i = 0; i < image.rgb.size(); ++i) {
    const int apart = std::abs(image.rgb[i] - expected.rgb[i]);
    sum += apart;
    largest = std::max(largest, apart);
  }
  const double mean = sum / static_cast<double>(image.rgb.size());
  fmt::print("{:<36} mean {:.4f}, largest {}\n", name, mean, largest);
  EXPECT_LE(mean, kMostMean) << name;
  EXPECT_LE(largest, kMostAnywhere) << name;
}

void compare(bool small) {
  Pipeline pipeline({.model = emoji_model(), .dtype = "fp32"});
  int drawn = 0;
  const nlohmann::json all = cases();
  for (const auto& [name, fields] : all.items()) {
    if (is_small(fields) != small) continue;
    const Result result = pipeline.generate(request_of(fields));
    const size_t count = result.images.size();
    for (size_t i = 0; i < count; ++i) expect_same(result.images[i], count == 1 ? name : fmt::format("{}.{}", name, i));
    ++drawn;
  }
  EXPECT_GE(drawn, 8);
}

TEST(EmojiInDiffusers, EveryOptionIsTheSame) {
  compare(true);
}

TEST(EmojiInDiffusers, SlowWholePicturesAreTheSame) {
  compare(false);
}

// If two cases have equal pictures, they do not test the option in which they differ. The preset euler_vpred sets
// values that this model already has, so euler_trailing gives the same picture.
TEST(EmojiInDiffusers, NoCaseEqualsAnother) {
  std::set<std::vector<uint8_t>> seen;
  for (const auto& file : std::filesystem::directory_iterator(kFolder))
    if (file.path().extension() == ".png" && file.path().stem() != "scheduler_euler_vpred") {
      EXPECT_TRUE(seen.insert(load_picture(file.path()).image.rgb).second) << file.path();
    }
}

TEST(EmojiInDiffusers, HasACaseForEveryScheduler) {
  const nlohmann::json all = cases();
  // Newer than these pictures. src/sampling compares their latents with diffusers or with the published formula.
  const std::set<std::string_view> without = {"dpmpp_2m_sde", "dpmpp_2m_sde_heun", "dpmpp_3m", "dpmpp_3m_sde",
                                              "dpmpp_sde",    "dpmpp_2s_a",        "sa_solver"};
  for (const std::string_view name : scheduler_list())
    EXPECT_NE(without.contains(name), all.contains(fmt::format("scheduler_{}", name))) << name;
}

}  // namespace
}  // namespace tempera::test
