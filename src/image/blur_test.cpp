#include "image/blur.h"

#include <gtest/gtest.h>

#include "support/init_picture_goldens.h"

namespace tempera {
namespace {

using test::init_picture_goldens;
using test::noise;
using test::size_of;
using test::to_hex;

TEST(GaussianBlur, EqualsPillow) {
  for (const auto& golden : init_picture_goldens("blur")) {
    const auto [width, height] = size_of(golden);
    const int channels = golden.at("channels");
    std::vector<uint8_t> bytes = noise(golden.at("seed"), static_cast<size_t>(width) * height * channels);
    gaussian_blur(bytes, width, height, channels, golden.at("radius"));
    EXPECT_EQ(to_hex(bytes), golden.at("bytes")) << golden;
  }
}

// More columns than are blurred at once.
TEST(GaussianBlur, EveryColumnOfAWidePicture) {
  const std::vector<uint8_t> column = noise(1, 9);
  std::vector<uint8_t> narrow = column, wide;
  for (const uint8_t value : column) wide.insert(wide.end(), 200, value);
  gaussian_blur(narrow, 1, 9, 1, 2);
  gaussian_blur(wide, 200, 9, 1, 2);
  for (int y = 0; y < 9; ++y)
    for (int x = 0; x < 200; ++x) ASSERT_EQ(wide[y * 200 + x], narrow[y]) << x << ", " << y;
}

}  // namespace
}  // namespace tempera
