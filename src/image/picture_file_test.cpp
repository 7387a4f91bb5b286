// Pictures that Pillow read (tests/data/pictures, made by tools/make_picture_goldens.py), their texts, and damaged
// files.
#include "image/picture_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <random>

#include "base/error.h"
#include "base/json.h"

namespace tempera {
namespace {
namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Pair;

const fs::path kPictures = fs::path(TEMPERA_TEST_DATA) / "pictures";

std::span<const std::byte> bytes(const std::string& text) {
  return std::as_bytes(std::span(text));
}

std::string file(const std::string& name) {
  return read_text_file(kPictures / name, 1 << 20);
}

// P6, width, height, 255, then the pixels.
Image8 read_ppm(const fs::path& path) {
  const std::string text = read_text_file(path, 1 << 20);
  Image8 image;
  int header = 0;
  EXPECT_EQ(std::sscanf(text.c_str(), "P6 %d %d 255%n", &image.width, &image.height, &header), 2) << path;
  image.rgb.assign(text.begin() + header + 1, text.end());
  EXPECT_EQ(image.rgb.size(), static_cast<size_t>(image.width) * image.height * 3) << path;
  return image;
}

int largest_difference(const Image8& a, const Image8& b) {
  if (a.width != b.width || a.height != b.height) return 256;
  int largest = 0;
  for (size_t i = 0; i < a.rgb.size(); ++i) largest = std::max(largest, std::abs(a.rgb[i] - b.rgb[i]));
  return largest;
}

std::string message_of(const std::string& content) {
  try {
    read_picture(bytes(content), "p");
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::bad_file);
    return error.what();
  }
  return "";
}

std::vector<std::string> names() {
  std::vector<std::string> found;
  for (const auto& entry : fs::directory_iterator(kPictures))
    if (entry.path().extension() != ".ppm") found.push_back(entry.path().filename().string());
  std::sort(found.begin(), found.end());
  return found;
}

TEST(PictureFile, GivesThePixelsOfPillow) {
  const std::vector<std::string> pictures = names();
  for (const std::string& name : pictures) {
    const bool exact = !name.ends_with(".jpg") && !name.starts_with("lossy") && !name.starts_with("profile");
    const PictureFile picture = load_picture(kPictures / name);
    EXPECT_LE(largest_difference(picture.image, read_ppm(kPictures / (name + ".ppm"))), exact ? 0 : 1) << name;
    EXPECT_EQ(picture.format, name.ends_with(".png") ? "PNG" : name.ends_with(".jpg") ? "JPEG" : "WebP") << name;
  }
  EXPECT_GE(pictures.size(), 77u);
}

// The profiles change the pictures, so that the comparison above can fail.
TEST(PictureFile, ProfilesAreApplied) {
  const Image8 plain = load_picture(kPictures / "srgb.png").image;
  EXPECT_GT(largest_difference(load_picture(kPictures / "profile-rgb.png").image, plain), 20);
}

TEST(PictureFile, EveryTruncationIsAnError) {
  for (const std::string& name : names()) {
    const std::string whole = file(name);
    // The padding byte of the last chunk of a WebP file is not needed.
    const size_t needed = name.ends_with(".webp") ? whole.size() - 1 : whole.size();
    for (size_t size = 0; size < needed; ++size)
      ASSERT_NE(message_of(whole.substr(0, size)), "") << name << ' ' << size << " of " << whole.size();
  }
}

TEST(PictureFile, EveryBitFlipIsAnErrorOrAPicture) {
  std::mt19937 random(21);
  for (const std::string& name : names()) {
    const std::string whole = file(name);
    for (int i = 0; i < 50; ++i) {
      std::string flipped = whole;
      flipped[random() % whole.size()] ^= static_cast<char>(1U << random() % 8);
      message_of(flipped);  // an exception of another type fails the test
    }
  }
}

TEST(PictureFile, SaysWhyAFileIsRefused) {
  EXPECT_EQ(message_of("GIF89a"),
            "'p' does not begin as a PNG, JPEG or WebP file: give a picture in one of these formats");
  const std::string jpeg = file("420.jpg"), webp = file("lossless.webp");
  EXPECT_EQ(message_of(jpeg.substr(0, 100)), "'p' is not a readable JPEG: it is truncated");
  EXPECT_EQ(message_of("\xFF\xD8\xFF\xD9"), "'p' is not a readable JPEG: it has no picture");
  EXPECT_THAT(message_of(webp.substr(0, 60)), HasSubstr("'p' is not a readable WebP: "));
  EXPECT_THAT(message_of(jpeg + std::string(32U << 20, ' ')), HasSubstr("it is larger than 32 MiB"));
}

TEST(PictureFile, JpegWithDamagedPixelsIsAnError) {
  std::string jpeg = file("444.jpg");
  const size_t end = jpeg.rfind("\xFF\xD9");
  EXPECT_THAT(message_of(jpeg.substr(0, end - 40) + "\xFF\xD9"), HasSubstr("premature end of data segment"));
  // Bytes between segments are harmless, and so are bytes after the end.
  constexpr size_t kJfifEnd = 20;
  EXPECT_EQ(message_of(jpeg.substr(0, kJfifEnd) + "xx" + jpeg.substr(kJfifEnd) + "more"), "");
}

TEST(PictureFile, JpegOfMoreThan64ScansIsAnError) {
  const std::string jpeg = file("grey-progressive.jpg");
  const size_t scan = jpeg.rfind("\xFF\xDA"), end = jpeg.rfind("\xFF\xD9");
  std::string many = jpeg.substr(0, end);
  for (int i = 0; i < 64; ++i) many += jpeg.substr(scan, end - scan);
  EXPECT_THAT(message_of(many + jpeg.substr(end)), HasSubstr("more than 64 scans"));
}

std::string segment(char marker, const std::string& data) {
  const size_t length = data.size() + 2;
  return std::string{'\xFF', marker, static_cast<char>(length >> 8), static_cast<char>(length)} + data;
}

// Of a JPEG with these segments.
PictureText jpeg_text(const std::string& segments) {
  const std::string jpeg = file("grey.jpg"), with = jpeg.substr(0, 2) + segments + jpeg.substr(2);
  const PictureText text = read_picture_text(bytes(with), "p");
  EXPECT_EQ(read_picture(bytes(with), "p").text, text);
  return text;
}

TEST(PictureFile, ReadsTextsOfJpeg) {
  const std::string xmp("http://ns.adobe.com/xap/1.0/\0<x/>", 33);
  EXPECT_THAT(jpeg_text(segment('\xFE', std::string("caf\xC3\xA9\0", 6)) + segment('\xE1', xmp)),
              ElementsAre(Pair("Comment", "caf\u00E9"), Pair("XML:com.adobe.xmp", "<x/>")));
  const std::string exif("Exif\0\0II*\0\x08\0\0\0\x01\0\x86\x92\x07\0\x0B\0\0\0\x1A\0\0\0\0\0\0\0ASCII\0\0\0abc", 43);
  EXPECT_THAT(jpeg_text(segment('\xE1', exif)), ElementsAre(Pair("UserComment", "abc")));
  std::string many;
  for (int i = 0; i < 100; ++i) many += segment('\xFE', "c");
  EXPECT_EQ(jpeg_text(many).size(), 64u);
}

TEST(PictureFile, ReadsTextsWithoutThePixels) {
  std::string png = file("rgb8.png");
  const size_t pixels = png.find("IDAT");
  std::fill_n(png.begin() + static_cast<ptrdiff_t>(pixels) + 4, 100, 'x');
  EXPECT_THAT(message_of(png), HasSubstr("'p' is not a readable PNG"));
  EXPECT_TRUE(read_picture_text(bytes(png), "p").empty());
  EXPECT_THROW(read_picture_text(bytes("GIF89a"), "p"), Error);
}

// The orientation of an XMP packet counts if there is no EXIF data (Pillow's getexif).
TEST(PictureFile, XmpCanHaveTheOrientation) {
  const auto upright = [](const std::string& segments) {
    const std::string jpeg = file("grey.jpg");
    return read_picture(bytes(jpeg.substr(0, 2) + segments + jpeg.substr(2)), "p").image.width == 19;
  };
  const std::string prefix("http://ns.adobe.com/xap/1.0/\0", 29);
  EXPECT_FALSE(upright(segment('\xE1', prefix + "<x tiff:Orientation=\"6\"/>")));
  EXPECT_FALSE(upright(segment('\xE1', prefix + "<tiff:Orientation>8</tiff:Orientation>")));
  EXPECT_TRUE(upright(segment('\xE1', prefix + "<x tiff:Orientation=\"3\"/>")));
  EXPECT_TRUE(upright(segment('\xE1', prefix + "<x tiff:Orientation='6'/>")));
  const std::string exif("Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x01\0\0\0\0\0\0\0", 32);
  EXPECT_TRUE(upright(segment('\xE1', prefix + "<x tiff:Orientation=\"6\"/>") + segment('\xE1', exif)));
}

TEST(PictureFile, FilesThatCannotBeOpenedAreNamed) {
  EXPECT_THROW(load_picture(kPictures / "absent.png"), Error);
  EXPECT_THROW(load_picture(kPictures), Error);
}

}  // namespace
}  // namespace tempera
