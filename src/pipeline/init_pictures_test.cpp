#include "pipeline/init_pictures.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/init_picture_goldens.h"
#include "tempera/error.h"

namespace tempera {
namespace {

using test::init_picture_goldens;
using test::noise_picture;
using test::size_of;
using test::to_hex;
using ::testing::ElementsAre;

InputPicture in_memory(Image8 image, const char* name = "picture.png") {
  return {name, name, "", std::move(image)};
}

Image8 plain(int width, int height, uint8_t value) {
  return {width, height, std::vector<uint8_t>(static_cast<size_t>(width) * height * 3, value)};
}

// The mask of a golden: coloured noise inside of a box.
Image8 box_mask(const nlohmann::json& golden) {
  const auto [width, height] = size_of(golden);
  const auto [left, top, right, bottom] = golden.at("box").get<std::array<int, 4>>();
  Image8 mask = plain(width, height, 0);
  const Image8 inside = noise_picture(golden.at("seed").get<uint32_t>() + 1, right - left, bottom - top);
  for (int y = top; y < bottom; ++y)
    std::copy_n(inside.rgb.begin() + (y - top) * inside.width * 3, inside.width * 3,
                mask.rgb.begin() + (y * width + left) * 3);
  return mask;
}

Request request_of(const nlohmann::json& golden) {
  Request request;
  request.mask_mode = golden.at("mask_mode");
  request.mask_blur = golden.at("mask_blur");
  if (!golden.at("margin").is_null()) request.padding_mask_crop = golden.at("margin").get<int>();
  request.paste = "on";
  return request;
}

TEST(PreparePicture, InpaintingEqualsDiffusers) {
  for (const auto& golden : init_picture_goldens("inpaint")) {
    SCOPED_TRACE(golden.dump());
    const Request request = request_of(golden);
    const auto [width, height] = size_of(golden);
    const auto [new_width, new_height] = size_of(golden, "new_size");
    const uint32_t seed = golden.at("seed");
    const InputPicture init = in_memory(noise_picture(seed, width, height)), mask = in_memory(box_mask(golden));
    const PreparedPicture picture = prepare_picture(request, init, &mask, new_width, new_height);
    EXPECT_EQ(to_hex(picture.image.rgb), golden.at("image"));
    EXPECT_EQ(to_hex(picture.mask), golden.at("mask"));
    EXPECT_EQ(picture.region.has_value(), !golden.at("region").is_null());
    if (picture.region) {
      EXPECT_EQ(*picture.region, (golden.at("region").get<std::array<int, 4>>()));
    }
    std::vector<float> values = encoder_input(picture, true);
    values.resize(golden.at("values").size());
    EXPECT_EQ(values, golden.at("values").get<std::vector<float>>());
    const Image8 finished = finish_picture(request, picture, noise_picture(seed + 2, new_width, new_height));
    EXPECT_EQ(to_hex(finished.rgb), golden.at("finished"));
  }
}

TEST(PreparePicture, WithoutAMaskOnlyResizes) {
  const InputPicture init = in_memory(noise_picture(1, 20, 10));
  Request request;
  request.resize_mode = "crop";
  const PreparedPicture picture = prepare_picture(request, init, nullptr, 8, 8);
  EXPECT_EQ(picture.image.width, 8);
  EXPECT_EQ(picture.image.height, 8);
  EXPECT_TRUE(picture.mask.empty());
  request.resize_mode = "default";
  EXPECT_NE(prepare_picture(request, init, nullptr, 8, 8).image.rgb, picture.image.rgb);
  const Image8 drawn = noise_picture(2, 8, 8);
  EXPECT_EQ(finish_picture(request, picture, drawn).rgb, drawn.rgb);
}

// The input at the size that is drawn, not the filled picture, is under black and grey mask.
TEST(FinishPicture, PastesTheInputAndNotItsFill) {
  const InputPicture init = in_memory(noise_picture(1, 8, 8));
  InputPicture mask = in_memory(plain(8, 8, 100));
  std::fill_n(mask.image.rgb.begin(), 96, 0);
  Request request;
  request.mask_mode = "soft";
  request.inpaint_fill = "blur";
  request.paste = "on";
  const PreparedPicture picture = prepare_picture(request, init, &mask, 8, 8);
  EXPECT_NE(picture.image.rgb, init.image.rgb);
  EXPECT_EQ(picture.original.rgb, init.image.rgb);
  const Image8 finished = finish_picture(request, picture, plain(8, 8, 0));
  for (int i = 0; i < 96; ++i) EXPECT_EQ(finished.rgb[i], init.image.rgb[i]) << i;
  for (int i = 96; i < 192; ++i) EXPECT_NEAR(finished.rgb[i], init.image.rgb[i] * (155.0 / 255.0), 2) << i;
}

TEST(FinishPicture, WithoutPastingTheRegionIsReplaced) {
  const InputPicture init = in_memory(noise_picture(1, 24, 16));
  InputPicture mask = in_memory(plain(24, 16, 0));
  mask.image.rgb[(5 * 24 + 6) * 3] = 255;
  Request request;
  request.padding_mask_crop = 2;
  request.paste = "off";
  const PreparedPicture picture = prepare_picture(request, init, &mask, 8, 8);
  ASSERT_TRUE(picture.region.has_value());
  EXPECT_EQ(*picture.region, (std::array<int, 4>{4, 3, 9, 8}));
  const Image8 finished = finish_picture(request, picture, plain(8, 8, 90));
  ASSERT_EQ(finished.width, 24);
  ASSERT_EQ(finished.height, 16);
  for (int i = 0; i < 24 * 16 * 3; ++i) {
    const int x = i / 3 % 24, y = i / 3 / 24;
    const bool inside = x >= 4 && x < 9 && y >= 3 && y < 8;
    EXPECT_EQ(finished.rgb[i], inside ? 90 : init.image.rgb[i]) << x << ", " << y;
  }
}

TEST(PreparePicture, ABlackMaskHasNoRegion) {
  const InputPicture init = in_memory(noise_picture(1, 8, 8)), mask = in_memory(plain(8, 8, 0), "black.png");
  Request request;
  request.padding_mask_crop = 2;
  try {
    prepare_picture(request, init, &mask, 8, 8);
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::invalid_argument);
    EXPECT_STREQ(error.what(),
                 "'black.png' is all black, so padding_mask_crop has no region: make a part of the mask white");
  }
}

TEST(EncoderInput, IsFromMinusOneToOne) {
  const PreparedPicture picture{{2, 1, {0, 255, 51, 102, 0, 255}}, {128, 127}};
  EXPECT_THAT(encoder_input(picture, false), ElementsAre(-1, 1, 2 * 0.2F - 1, 2 * 0.4F - 1, -1, 1));
  EXPECT_THAT(encoder_input(picture, true), ElementsAre(0, 0, 0, 2 * 0.4F - 1, -1, 1));
}

TEST(LatentMask, IsTheFirstPixelOfEachBlock) {
  PreparedPicture picture{plain(4, 4, 0), std::vector<uint8_t>(16, 9)};
  picture.mask[0] = 255;
  picture.mask[2] = 51;
  picture.mask[8] = 0;
  picture.mask[10] = 102;
  EXPECT_THAT(latent_mask(picture, 2), ElementsAre(1, 0.2F, 0, 0.4F));
}

TEST(OwnSize, IsRoundedDown) {
  InputPictures pictures;
  Request request;
  EXPECT_FALSE(own_size(request, pictures, 8).has_value());
  pictures.init.push_back(in_memory(plain(23, 16, 0)));
  EXPECT_EQ(own_size(request, pictures, 8), (std::array{16, 16}));
  request.padding_mask_crop = 1;
  EXPECT_FALSE(own_size(request, pictures, 8).has_value());
}

TEST(OwnSize, OfATinyPictureIsAnError) {
  InputPictures pictures;
  pictures.init.push_back(in_memory(plain(23, 7, 0), "tiny.png"));
  try {
    own_size({}, pictures, 8);
    FAIL();
  } catch (const Error& error) {
    EXPECT_STREQ(error.what(), "'tiny.png' has 23 x 7 pixels, too few to draw at this size: give width and height");
  }
}

}  // namespace
}  // namespace tempera
