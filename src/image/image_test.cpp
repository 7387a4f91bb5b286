#include "image/image.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace tempera {
namespace {

TEST(ToRgb8, ClampsAndRoundsHalfToEven) {
  const float inf = std::numeric_limits<float>::infinity();
  const std::vector<float> values = {-1.0F, 1.0F, 0.0F, -7.0F, 7.0F, -inf, inf, std::nanf("")};
  std::vector<uint8_t> rgb(values.size());
  to_rgb8(values, rgb);
  EXPECT_THAT(rgb, testing::ElementsAre(0, 255, 128, 0, 255, 0, 255, 0));  // 127.5 goes to 128
}

TEST(ToRgb8, EveryByteComesBack) {
  std::vector<float> values(256);
  std::vector<uint8_t> rgb(256);
  for (int i = 0; i < 256; ++i) values[i] = static_cast<float>(i) / 255.0F * 2.0F - 1.0F;
  to_rgb8(values, rgb);
  for (int i = 0; i < 256; ++i) EXPECT_EQ(rgb[i], i);
}

}  // namespace
}  // namespace tempera
