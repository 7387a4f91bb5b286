#include "image/resize_modes.h"

#include <gtest/gtest.h>

#include "support/init_picture_goldens.h"

namespace tempera {
namespace {

using test::init_picture_goldens;
using test::noise_picture;
using test::size_of;
using test::to_hex;

TEST(ResizeModes, EqualDiffusers) {
  for (const auto& golden : init_picture_goldens("resize_mode")) {
    const auto [width, height] = size_of(golden);
    const auto [new_width, new_height] = size_of(golden, "new_size");
    const std::string mode = golden.at("mode");
    const Image8 result = resize_picture(noise_picture(golden.at("seed"), width, height), new_width, new_height,
                                         mode == "crop"   ? ResizeMode::crop
                                         : mode == "fill" ? ResizeMode::fill
                                                          : ResizeMode::stretch);
    EXPECT_EQ(result.width, new_width);
    EXPECT_EQ(result.height, new_height);
    EXPECT_EQ(to_hex(result.rgb), golden.at("bytes")) << golden;
  }
}

TEST(ResizeModes, ASideHasAtLeastOnePixel) {
  const Image8 thin{1, 500, std::vector<uint8_t>(1500, 77)};
  EXPECT_EQ(resize_picture(thin, 8, 8, ResizeMode::fill).rgb, std::vector<uint8_t>(192, 77));
}

TEST(CropPicture, TakesTheBox) {
  const Image8 image{3, 2, {0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 3, 4, 4, 4, 5, 5, 5}};
  const Image8 part = crop_picture(image, {1, 0, 3, 2});
  EXPECT_EQ(part.width, 2);
  EXPECT_EQ(part.height, 2);
  EXPECT_EQ(part.rgb, (std::vector<uint8_t>{1, 1, 1, 2, 2, 2, 4, 4, 4, 5, 5, 5}));
}

TEST(PutPicture, CutsOffPixelsOutside) {
  Image8 image{2, 2, std::vector<uint8_t>(12, 9)};
  const Image8 part{2, 2, {1, 1, 1, 2, 2, 2, 3, 3, 3, 4, 4, 4}};
  put_picture(image, part, 1, -1);
  EXPECT_EQ(image.rgb, (std::vector<uint8_t>{9, 9, 9, 3, 3, 3, 9, 9, 9, 9, 9, 9}));
  put_picture(image, part, 2, 0);
  put_picture(image, part, 0, -2);
  EXPECT_EQ(image.rgb, (std::vector<uint8_t>{9, 9, 9, 3, 3, 3, 9, 9, 9, 9, 9, 9}));
}

TEST(ExtendPicture, RepeatsTheEdges) {
  const Image8 image{2, 1, {1, 2, 3, 4, 5, 6}};
  const Image8 larger = extend_picture(image, {1, 1, 2, 0});
  EXPECT_EQ(larger.width, 5);
  EXPECT_EQ(larger.height, 2);
  const std::vector<uint8_t> row = {1, 2, 3, 1, 2, 3, 4, 5, 6, 4, 5, 6, 4, 5, 6};
  std::vector<uint8_t> rows = row;
  rows.insert(rows.end(), row.begin(), row.end());
  EXPECT_EQ(larger.rgb, rows);
}

}  // namespace
}  // namespace tempera
