#include "image/mask.h"

#include <gtest/gtest.h>

#include "support/init_picture_goldens.h"

namespace tempera {
namespace {

using test::init_picture_goldens;
using test::noise;
using test::noise_picture;
using test::size_of;
using test::to_hex;

TEST(ToGrey, EqualsPillow) {
  for (const auto& golden : init_picture_goldens("grey")) {
    const auto [width, height] = size_of(golden);
    EXPECT_EQ(to_hex(to_grey(noise_picture(golden.at("seed"), width, height))), golden.at("bytes"));
  }
}

TEST(OutsideMask, IsBlackOverThePicture) {
  const Image8 mask = outside_mask(2, 1, {1, 0, 0, 1});
  EXPECT_EQ(mask.width, 3);
  EXPECT_EQ(mask.height, 2);
  EXPECT_EQ(to_grey(mask), (std::vector<uint8_t>{255, 0, 0, 255, 255, 255}));
  const Image8 own{2, 1, {7, 7, 7, 8, 8, 8}};
  EXPECT_EQ(to_grey(outside_mask(2, 1, {1, 0, 0, 1}, &own)), (std::vector<uint8_t>{255, 7, 8, 255, 255, 255}));
}

TEST(CropRegion, EqualsDiffusers) {
  for (const auto& golden : init_picture_goldens("crop_region")) {
    const auto [width, height] = size_of(golden);
    const auto [new_width, new_height] = size_of(golden, "new_size");
    const auto [left, top, right, bottom] = golden.at("box").get<PixelBox>();
    std::vector<uint8_t> mask(static_cast<size_t>(width) * height);
    for (int y = top; y < bottom; ++y) std::fill_n(mask.begin() + y * width + left, right - left, 1);
    EXPECT_EQ(crop_region(mask, width, height, new_width, new_height, golden.at("margin")),
              golden.at("region").get<PixelBox>())
        << golden;
  }
}

TEST(CropRegion, OfABlackMaskIsNothing) {
  EXPECT_FALSE(crop_region(std::vector<uint8_t>(12), 4, 3, 8, 8, 2).has_value());
}

TEST(Overlay, EqualsDiffusers) {
  for (const auto& golden : init_picture_goldens("overlay")) {
    const auto [width, height] = size_of(golden);
    const uint32_t seed = golden.at("seed");
    std::vector<uint8_t> mask = noise(seed + 2, static_cast<size_t>(width) * height);
    for (uint8_t& value : mask) value = value < 85 ? 0 : value > 170 ? 255 : value;
    Image8 drawn = noise_picture(seed, width, height);
    overlay(drawn, noise_picture(seed + 1, width, height), mask);
    EXPECT_EQ(to_hex(drawn.rgb), golden.at("bytes"));
  }
}

TEST(FillFromSurroundings, PixelsUnderBlackMaskStay) {
  Image8 image = noise_picture(1, 20, 10);
  const Image8 before = image;
  std::vector<uint8_t> mask(200);
  std::fill_n(mask.begin() + 100, 50, 255);
  fill_from_surroundings(image, mask);
  int different = 0;
  for (int i = 0; i < 600; ++i) {
    if (mask[i / 3] == 0) {
      EXPECT_EQ(image.rgb[i], before.rgb[i]) << i;
    }
    different += image.rgb[i] != before.rgb[i] ? 1 : 0;
  }
  EXPECT_GT(different, 100);
}

// The left half is red, the right half blue. The filled columns in the middle are red, then blue, without green, and
// the old pixels there have no influence.
TEST(FillFromSurroundings, ColoursComeFromTheNearestPixels) {
  constexpr int kWidth = 90, kHeight = 30;
  Image8 image{kWidth, kHeight, {}};
  std::vector<uint8_t> mask;
  for (int i = 0; i < kWidth * kHeight; ++i) {
    const int x = i % kWidth;
    const bool hidden = x >= 30 && x < 60;
    mask.push_back(hidden ? 255 : 0);
    const std::vector<uint8_t> colour = {static_cast<uint8_t>(x < 30 ? 200 : 0), static_cast<uint8_t>(hidden ? 255 : 0),
                                         static_cast<uint8_t>(x < 60 ? 0 : 200)};
    image.rgb.insert(image.rgb.end(), colour.begin(), colour.end());
  }
  fill_from_surroundings(image, mask);
  const auto at = [&](int x) { return image.rgb.data() + (15 * kWidth + x) * 3; };
  EXPECT_GT(at(31)[0], 150);
  EXPECT_LT(at(31)[2], 50);
  EXPECT_LT(at(58)[0], 50);
  EXPECT_GT(at(58)[2], 150);
  for (int x = 30; x < 60; ++x) {
    EXPECT_EQ(at(x)[1], 0) << x;
    EXPECT_NEAR(at(x)[0] + at(x)[2], 200, 4) << x;
    EXPECT_LE(at(x)[0], x > 30 ? at(x - 1)[0] : 200) << x;
  }
}

TEST(FillFromSurroundings, AWhiteMaskGivesGrey) {
  Image8 image = noise_picture(1, 5, 4);
  fill_from_surroundings(image, std::vector<uint8_t>(20, 255));
  EXPECT_EQ(image.rgb, std::vector<uint8_t>(60, 128));
}

// Half of the weight: the mean of the pixel and of the fill, which is the same colour in a plain picture.
TEST(FillFromSurroundings, APlainPictureStaysPlain) {
  Image8 image{6, 5, std::vector<uint8_t>(90, 140)};
  std::vector<uint8_t> mask(30);
  for (int i = 0; i < 30; ++i) mask[i] = static_cast<uint8_t>(i * 8);
  fill_from_surroundings(image, mask);
  for (const uint8_t value : image.rgb) EXPECT_NEAR(value, 140, 2);
}

}  // namespace
}  // namespace tempera
