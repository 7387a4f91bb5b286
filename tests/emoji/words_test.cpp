// From the same noise, other words give another colour, another animal, another style. Few steps are enough, because
// the content is decided early. A model that ignores its prompt draws the same picture for all words, and fails.
#include <gtest/gtest.h>

#include <algorithm>
#include <map>

#include "glyphs.h"

namespace tempera::test {
namespace {

constexpr int kSteps = 4;

class EmojiWords : public testing::Test {
 protected:
  static const Image& draw(const std::string& prompt) {
    static Pipeline pipeline({.model = emoji_model(), .dtype = "fp32"});
    static std::map<std::string, Image> drawn;
    if (const auto found = drawn.find(prompt); found != drawn.end()) return found->second;
    Result result = pipeline.generate({.prompt = prompt, .num_inference_steps = kSteps, .seed = 0});
    return drawn[prompt] = std::move(result.images.at(0));
  }

  const Glyphs glyphs_;
};

// The mean colour without the white background: red, green, blue.
std::array<double, 3> mean_colour(const Image& image) {
  std::array<double, 3> sums{};
  double count = 0;
  for (size_t i = 0; i < image.rgb.size(); i += 3) {
    const auto [least, most] = std::minmax({image.rgb[i], image.rgb[i + 1], image.rgb[i + 2]});
    if (most - least < 60) continue;
    for (size_t c = 0; c < 3; ++c) sums[c] += image.rgb[i + c];
    ++count;
  }
  for (double& sum : sums) sum /= std::max(count, 1.0);
  return sums;
}

TEST_F(EmojiWords, AColourIsTheColourOfThePicture) {
  const std::array<const char*, 3> words = {"red", "green", "blue"};
  for (size_t c = 0; c < 3; ++c) {
    const std::array<double, 3> colour = mean_colour(draw(std::string(words[c]) + " heart"));
    for (size_t other = 0; other < 3; ++other) {
      if (other == c) continue;
      EXPECT_GE(colour[c], colour[other] + 40) << words[c];
    }
  }
}

TEST_F(EmojiWords, ANameIsTheNearestGlyph) {
  const std::vector<const Glyph*> noto = glyphs_.of_style("noto");
  for (const char* name : {"cat", "dog", "red heart", "green heart", "blue heart"}) {
    EXPECT_EQ(nearest(reduced(draw(name)), noto).name, name);
  }
}

TEST_F(EmojiWords, AStyleIsTheNearestOfThatThing) {
  for (const std::string style : {"noto", "fluent", "flat"}) {
    const Tile picture = reduced(draw("cat in " + style + " style"));
    EXPECT_EQ(nearest(picture, glyphs_.of_name("cat")).style, style);
    EXPECT_EQ(nearest(picture, glyphs_.of_style(style)).name, "cat");
  }
}

}  // namespace
}  // namespace tempera::test
