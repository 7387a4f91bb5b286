// The embedded model draws the thing that the prompt names: every name of the noto style, seed 0, with the model's own
// defaults. Counted are the names whose own glyph is the nearest of the style to the picture, or among the five
// nearest. The test needs half an hour or more on two cores.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <chrono>
#include <numeric>

#include "glyphs.h"

namespace tempera::test {
namespace {

constexpr double kLeastNearest = 0.70, kLeastAmongFive = 0.85;
// Scatters the order, so that the lines printed during the test are a sample of all names.
constexpr size_t kStride = 601;

TEST(EmojiNames, AreDrawn) {
  const Glyphs all;
  const std::vector<const Glyph*> glyphs = all.of_style("noto");
  ASSERT_GE(glyphs.size(), 1700u);
  ASSERT_EQ(std::gcd(glyphs.size(), kStride), 1u);
  Pipeline pipeline({.model = emoji_model(), .dtype = "fp32"});
  size_t first = 0, among_five = 0;
  std::string missed;
  const auto start = std::chrono::steady_clock::now();
  for (size_t drawn = 1; drawn <= glyphs.size(); ++drawn) {
    const size_t i = drawn * kStride % glyphs.size();
    const Result result = pipeline.generate({.prompt = glyphs[i]->name, .seed = 0});
    const size_t rank = rank_of(reduced(result.images.at(0)), glyphs, i);
    first += rank == 0;
    among_five += rank < 5;
    if (rank != 0) missed += fmt::format("{} (rank {}), ", glyphs[i]->name, rank);
    if (drawn % 50 == 0) {
      fmt::print("{} names: nearest {}, among the five nearest {}\n", drawn, first, among_five);
      std::fflush(stdout);
    }
  }
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  const double count = static_cast<double>(glyphs.size());
  fmt::print("{} names: nearest {:.2f} %, among the five nearest {:.2f} %; {:.2f} s a picture; not nearest: {}\n",
             glyphs.size(), 100 * static_cast<double>(first) / count, 100 * static_cast<double>(among_five) / count,
             seconds / count, missed.empty() ? "none" : missed);
  EXPECT_GE(static_cast<double>(first) / count, kLeastNearest);
  EXPECT_GE(static_cast<double>(among_five) / count, kLeastAmongFive);
}

}  // namespace
}  // namespace tempera::test
