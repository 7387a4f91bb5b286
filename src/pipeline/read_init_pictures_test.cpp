#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/atomic_file.h"
#include "image/mask.h"
#include "image/png.h"
#include "pipeline/init_pictures.h"
#include "source/catalog/sha256.h"
#include "support/files.h"
#include "support/init_picture_goldens.h"
#include "tempera/error.h"

namespace tempera {
namespace {

using test::noise_picture;
using ::testing::HasSubstr;

class ReadInputPictures : public ::testing::Test {
 protected:
  // A PNG of noise; its path.
  std::string picture(const char* name, int width, int height, uint32_t seed = 1) {
    const Image8 image = noise_picture(seed, width, height);
    write_file_atomically(folder_ / name, encode_png({width, height, image.rgb}));
    return (folder_ / name).string();
  }

  static void expect_error(const Request& request, const std::string& part) {
    try {
      read_input_pictures(request);
      ADD_FAILURE() << "no error, expected: " << part;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::invalid_argument);
      EXPECT_THAT(error.what(), HasSubstr(part));
      EXPECT_FALSE(error.message().mentions.empty()) << error.what();
    }
  }

 private:
  TemporaryFolder folder_;
};

TEST_F(ReadInputPictures, NothingWithoutFiles) {
  const InputPictures pictures = read_input_pictures({});
  EXPECT_TRUE(pictures.init.empty());
  EXPECT_TRUE(pictures.mask.empty());
}

TEST_F(ReadInputPictures, PixelsNamesAndHashes) {
  Request request;
  request.init_image = {picture("a.png", 9, 8, 1), picture("b.png", 5, 6, 2)};
  request.mask_image = {picture("mask.png", 3, 2, 3)};
  const InputPictures pictures = read_input_pictures(request);
  ASSERT_EQ(pictures.init.size(), 2U);
  ASSERT_EQ(pictures.mask.size(), 1U);
  EXPECT_EQ(pictures.init[0].label, "a.png");
  EXPECT_EQ(pictures.init[1].label, "b.png");
  EXPECT_EQ(pictures.init[1].path.string(), request.init_image[1]);
  EXPECT_EQ(pictures.init[1].image.rgb, noise_picture(2, 5, 6).rgb);
  EXPECT_EQ(pictures.mask[0].image.rgb, noise_picture(3, 3, 2).rgb);
  EXPECT_EQ(pictures.init[1].sha256, sha256_of_file(request.init_image[1]));
  EXPECT_EQ(pictures.mask[0].sha256, sha256_of_file(request.mask_image[0]));
}

TEST_F(ReadInputPictures, AMissingFileIsNamed) {
  Request request;
  request.init_image = {"no-such-picture.png"};
  try {
    read_input_pictures(request);
    FAIL();
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), HasSubstr("no-such-picture.png"));
  }
}

TEST_F(ReadInputPictures, ExtendMakesAMaskForEachPicture) {
  Request request;
  request.init_image = {picture("a.png", 2, 1, 1), picture("b.png", 1, 1, 2)};
  request.extend = {1, 0, 0, 1};
  const InputPictures pictures = read_input_pictures(request);
  ASSERT_EQ(pictures.mask.size(), 2U);
  EXPECT_EQ(pictures.init[0].image.width, 3);
  EXPECT_EQ(pictures.init[0].image.height, 2);
  EXPECT_EQ(to_grey(pictures.mask[0].image), (std::vector<uint8_t>{255, 0, 0, 255, 255, 255}));
  EXPECT_EQ(to_grey(pictures.mask[1].image), (std::vector<uint8_t>{255, 0, 255, 255}));
  EXPECT_TRUE(pictures.mask[0].path.empty());
}

TEST_F(ReadInputPictures, ExtendKeepsAGivenMaskInside) {
  Request request;
  request.init_image = {picture("a.png", 2, 1, 1)};
  request.mask_image = {picture("mask.png", 2, 1, 5)};
  request.extend = {0, 0, 1, 0};
  const InputPictures pictures = read_input_pictures(request);
  ASSERT_EQ(pictures.mask.size(), 1U);
  std::vector<uint8_t> expected = noise_picture(5, 2, 1).rgb;
  expected.insert(expected.end(), 3, 255);
  EXPECT_EQ(pictures.mask[0].image.rgb, expected);
  EXPECT_EQ(pictures.mask[0].label, "mask.png");
}

TEST_F(ReadInputPictures, FieldsThatNeedAPicture) {
  Request request;
  request.mask_image = {"mask.png"};
  expect_error(request, "mask_image mask.png needs a picture: give init_image, or leave mask_image out");
  request = {};
  request.extend = {0, 8, 0, 0};
  expect_error(request, "extend 0,8,0,0 needs a picture");
  request = {};
  request.resize_mode = "fill";
  expect_error(request, "resize_mode fill needs a picture");
}

TEST_F(ReadInputPictures, FieldsThatNeedAMask) {
  Request with_picture;
  with_picture.init_image = {picture("a.png", 8, 8)};
  Request request = with_picture;
  request.padding_mask_crop = 0;
  expect_error(request, "padding_mask_crop 0 needs a mask: give mask_image, or leave padding_mask_crop out");
  request = with_picture;
  request.mask_blur = 3;
  expect_error(request, "mask_blur 3 needs a mask");
  request = with_picture;
  request.inpaint_fill = "noise";
  expect_error(request, "inpaint_fill noise needs a mask");
  request = with_picture;
  request.mask_mode = "soft";
  expect_error(request, "mask_mode soft needs a mask");
  request = with_picture;
  request.paste = "on";
  expect_error(request, "paste on needs a mask");
  request.extend = {8, 0, 0, 0};  // makes the mask
  EXPECT_EQ(read_input_pictures(request).mask.size(), 1U);
}

TEST_F(ReadInputPictures, ARegionIsNotCut) {
  Request request;
  request.init_image = {picture("a.png", 8, 8)};
  request.mask_image = {picture("mask.png", 8, 8)};
  request.padding_mask_crop = 4;
  request.resize_mode = "crop";
  expect_error(request, "leave resize_mode out");
  request.resize_mode = "fill";
  EXPECT_EQ(read_input_pictures(request).mask.size(), 1U);
}

TEST_F(ReadInputPictures, OneMaskOrOneForEachPicture) {
  Request request;
  request.init_image = std::vector<std::string>(3, picture("a.png", 8, 8));
  request.mask_image = std::vector<std::string>(2, picture("mask.png", 8, 8));
  expect_error(request, "mask_image has 2 files and init_image has 3: give one mask for all pictures or one for each");
  request.mask_image.pop_back();
  EXPECT_EQ(read_input_pictures(request).mask.size(), 1U);
}

TEST_F(ReadInputPictures, AMaskOfAnotherSizeIsOnlyStretched) {
  Request request;
  request.init_image = {picture("a.png", 8, 8), picture("b.png", 9, 8)};
  request.mask_image = {picture("mask.png", 8, 8)};
  EXPECT_EQ(read_input_pictures(request).init.size(), 2U);
  request.resize_mode = "fill";
  expect_error(request, "has 9 x 8: resize_mode needs a mask of the size of the picture");
  request.resize_mode = "default";
  request.padding_mask_crop = 1;
  expect_error(request, "padding_mask_crop needs a mask of the size of the picture");
  request.padding_mask_crop.reset();
  request.extend = {1, 1, 1, 1};
  expect_error(request, "extend needs a mask of the size of the picture");
}

TEST_F(ReadInputPictures, ExtendHasLimits) {
  Request request;
  request.init_image = {picture("a.png", 8, 8)};
  request.extend = {8192, 0, 0, 0};
  expect_error(request, "has 8200 x 8 pixels with extend: add fewer");
}

}  // namespace
}  // namespace tempera
