// Files that libpng itself wrote in every colour type, our own files, broken ones, and hostile ones.
#include "image/png.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <zlib.h>

#include <cstring>
#include <filesystem>
#include <fstream>
#include <functional>
#include <random>

#include "base/error.h"
#include "base/json.h"

namespace tempera {
namespace {
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Pair;

std::string problem(const std::function<void()>& call) {
  try {
    call();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::bad_file);
    return error.what();
  }
  return "";
}

Image8 noise(int width, int height) {
  std::mt19937 random(static_cast<unsigned>(width * 1000 + height));
  Image8 image{width, height, std::vector<uint8_t>(static_cast<size_t>(width) * height * 3)};
  for (uint8_t& value : image.rgb) value = static_cast<uint8_t>(random());
  return image;
}

RgbView view(const Image8& image) {
  return {image.width, image.height, image.rgb};
}

std::span<const std::byte> bytes(const std::string& text) {
  return std::as_bytes(std::span(text));
}

// A PNG put together by hand: chunks with right checksums around any content.
std::string chunk(const std::string& type, const std::string& data) {
  const auto big_endian = [](uint32_t value) {
    return std::string{static_cast<char>(value >> 24), static_cast<char>(value >> 16), static_cast<char>(value >> 8),
                       static_cast<char>(value)};
  };
  const std::string body = type + data;
  const auto crc = crc32(0, reinterpret_cast<const Bytef*>(body.data()), static_cast<uInt>(body.size()));
  return big_endian(static_cast<uint32_t>(data.size())) + body + big_endian(static_cast<uint32_t>(crc));
}

std::string header(uint32_t width, uint32_t height, int depth, int colour, int interlace = 0) {
  std::string data;
  for (const uint32_t side : {width, height}) {
    for (int shift = 24; shift >= 0; shift -= 8) data += static_cast<char>(side >> shift);
  }
  return chunk("IHDR", data + std::string{static_cast<char>(depth), static_cast<char>(colour), 0, 0,
                                          static_cast<char>(interlace)});
}

std::string packed(const std::string& data) {
  uLongf size = compressBound(static_cast<uLong>(data.size()));
  std::string out(size, '\0');
  EXPECT_EQ(compress(reinterpret_cast<Bytef*>(out.data()), &size, reinterpret_cast<const Bytef*>(data.data()),
                     static_cast<uLong>(data.size())),
            Z_OK);
  out.resize(size);
  return out;
}

std::string png_of(const std::string& chunks) {
  return "\x89PNG\r\n\x1a\n" + chunks + chunk("IEND", "");
}

// One row of pixels of the given type, unfiltered.
std::vector<uint8_t> read_row(uint32_t width, int depth, int colour, const std::string& row,
                              const std::string& before = "") {
  const std::string file = png_of(header(width, 1, depth, colour) + before + chunk("IDAT", packed('\0' + row)));
  return read_picture(bytes(file), "row").image.rgb;
}

TEST(Png, WhatIsWrittenIsRead) {
  for (const auto& [width, height] : {std::pair(1, 1), std::pair(3, 2), std::pair(64, 40), std::pair(257, 129)}) {
    const Image8 image = noise(width, height);
    const PictureFile file = read_picture(encode_png(view(image)), "x");
    EXPECT_EQ(file.image.width, width);
    EXPECT_EQ(file.image.height, height);
    EXPECT_EQ(file.image.rgb, image.rgb);
    EXPECT_TRUE(file.text.empty());
  }
}

TEST(Png, KeepsText) {
  const PictureText text = {
      {"parameters", "a caf\u00E9\nSteps: 20, \u00FF"}, {"Title", "\u2615 \U0001F600"}, {"Empty", ""}};
  const auto file = encode_png(view(noise(2, 2)), text);
  EXPECT_EQ(read_picture(file, "x").text, text);
  // Latin-1 in tEXt, the rest in iTXt; before the picture.
  const std::string_view raw(reinterpret_cast<const char*>(file.data()), file.size());
  EXPECT_NE(raw.find(std::string_view("tEXtparameters\0a caf\xE9\nSteps: 20, \xFF", 33)), std::string_view::npos);
  EXPECT_NE(raw.find(std::string_view("iTXtTitle\0\0\0\0\0\xE2\x98\x95", 17)), std::string_view::npos);
  EXPECT_LT(raw.find("iTXt"), raw.find("IDAT"));
}

TEST(Png, TextThatPngCannotHoldIsRepaired) {
  const PictureText text = {{"a", std::string("x\0y", 3)}, {"b", "\xFF\xC3"}};
  EXPECT_THAT(read_picture(encode_png(view(noise(1, 1)), text), "x").text,
              ElementsAre(Pair("a", "xy"), Pair("b", "\uFFFD\uFFFD")));
}

TEST(Png, ReadsEveryColourType) {
  using Bytes = std::vector<uint8_t>;
  EXPECT_EQ(read_row(2, 8, 2, "\x01\x02\x03\xFE\x80\x7F"), (Bytes{1, 2, 3, 254, 128, 127}));
  EXPECT_EQ(read_row(1, 16, 2, std::string("\x01\xFF\x02\x80\x03\x00", 6)), (Bytes{1, 2, 3}));  // the upper halves
  EXPECT_EQ(read_row(2, 8, 0, "\x05\xFF"), (Bytes{5, 5, 5, 255, 255, 255}));
  EXPECT_EQ(read_row(2, 1, 0, "\x40"), (Bytes{0, 0, 0, 255, 255, 255}));
  EXPECT_EQ(read_row(2, 2, 0, "\x60"), (Bytes{85, 85, 85, 170, 170, 170}));
  EXPECT_EQ(read_row(2, 4, 0, "\x1F"), (Bytes{17, 17, 17, 255, 255, 255}));
  EXPECT_EQ(read_row(1, 16, 0, "\x12\xFF"), (Bytes{18, 18, 18}));
  EXPECT_EQ(read_row(1, 8, 4, std::string("\x09\x00", 2)), (Bytes{9, 9, 9}));          // transparent: kept
  EXPECT_EQ(read_row(1, 8, 6, std::string("\x01\x02\x03\x00", 4)), (Bytes{1, 2, 3}));  // as well
  EXPECT_EQ(read_row(1, 16, 6, std::string("\x01\x09\x02\x09\x03\x09\x00\x00", 8)), (Bytes{1, 2, 3}));
  const std::string palette = chunk("PLTE", "\x0A\x0B\x0C\x14\x15\x16");
  EXPECT_EQ(read_row(2, 8, 3, std::string("\x01\x00", 2), palette), (Bytes{20, 21, 22, 10, 11, 12}));
  EXPECT_EQ(read_row(2, 1, 3, "\x40", palette), (Bytes{10, 11, 12, 20, 21, 22}));
  const std::string transparent = palette + chunk("tRNS", std::string(1, '\0'));
  EXPECT_EQ(read_row(2, 8, 3, std::string("\x01\x00", 2), transparent), (Bytes{20, 21, 22, 10, 11, 12}));
  const std::string gamma = chunk("gAMA", std::string("\x00\x01\x86\xA0", 4));  // 1.0: ignored
  EXPECT_EQ(read_row(2, 8, 0, "\x05\x80", gamma), (Bytes{5, 5, 5, 128, 128, 128}));
  const std::string key = chunk("tRNS", std::string("\x00\x05", 2));
  EXPECT_EQ(read_row(2, 8, 0, "\x05\x80", key), (Bytes{5, 5, 5, 128, 128, 128}));
}

TEST(Png, ReadsInterlacedFiles) {
  // 2 x 2: the passes of Adam7 that are not empty hold pixel (0,0); (1,0); the row (0,1) (1,1).
  const std::string rows("\0\x01\0\x02\0\x03\x04", 7);
  const std::string file = png_of(header(2, 2, 8, 0, 1) + chunk("IDAT", packed(rows)));
  EXPECT_EQ(read_picture(bytes(file), "x").image.rgb, (std::vector<uint8_t>{1, 1, 1, 2, 2, 2, 3, 3, 3, 4, 4, 4}));
}

TEST(Png, ReadsTextFromAnywhere) {
  const std::string picture = chunk("IDAT", packed(std::string("\0\x05", 2)));
  const std::string file = png_of(header(1, 1, 8, 0) + chunk("tEXt", std::string("k\xE9\0v\xFC", 5)) + picture +
                                  chunk("zTXt", std::string("z\0\0", 3) + packed("caf\xE9")) +
                                  chunk("iTXt", std::string("i\0\1\0de\0i\0", 9) + packed("\u2615")));
  EXPECT_THAT(read_picture(bytes(file), "x").text,
              ElementsAre(Pair("k\u00E9", "v\u00FC"), Pair("z", "caf\u00E9"), Pair("i", "\u2615")));
}

TEST(Png, TextsEndAtNul) {
  const std::string texts = chunk("tEXt", std::string("k\0v\0w", 5)) + chunk("iTXt", std::string("i\0\0\0\0\0v\0w", 9));
  const std::string file = png_of(header(1, 1, 8, 0) + texts + chunk("IDAT", packed(std::string("\0\x05", 2))));
  EXPECT_THAT(read_picture(bytes(file), "x").text, ElementsAre(Pair("k", "v"), Pair("i", "v")));
}

TEST(Png, LeavesOutTextsThatAreDamaged) {
  const std::string picture = chunk("IDAT", packed(std::string("\0\x05", 2)));
  std::string wrong_checksum = chunk("tEXt", std::string("k\0v", 3));
  wrong_checksum.back() ^= 1;
  const std::string texts =
      wrong_checksum + chunk("tEXt", "no end of the keyword") + chunk("tEXt", std::string("\0v", 2)) +
      chunk("zTXt", std::string("z\0\0not compressed", 17)) +
      chunk("zTXt", std::string("z\0\1", 3) + packed("another method")) +
      chunk("iTXt", std::string("i\0\0\0de\0no second end", 20)) + chunk("iTXt", std::string("i\0\0", 3));
  const std::string file = png_of(header(1, 1, 8, 0) + texts + chunk("tEXt", std::string("k\0w", 3)) + picture);
  EXPECT_THAT(read_picture(bytes(file), "x").text, ElementsAre(Pair("k", "w")));
}

// Two grey pixels, 1 and 2, and an orientation of 2: mirrored.
TEST(Png, OrientationInTheTextOfImageMagick) {
  const std::string hex = "4578696600004d4d002a0000000800010112000300000001000200\n0000000000";
  const std::string picture = chunk("IDAT", packed(std::string("\0\1\2", 3)));
  const auto read = [&](const std::string& text) {
    return read_picture(bytes(png_of(header(2, 1, 8, 0) + text + picture)), "x").image.rgb;
  };
  EXPECT_EQ(read(""), (std::vector<uint8_t>{1, 1, 1, 2, 2, 2}));
  EXPECT_EQ(read(chunk("tEXt", std::string("Raw profile type exif\0\nexif\n      32\n", 37) + hex)),
            (std::vector<uint8_t>{2, 2, 2, 1, 1, 1}));
}

TEST(Png, RefusesWhatIsNotOne) {
  const auto message = [](const std::string& file) { return problem([&] { read_picture(bytes(file), "f.png"); }); };
  for (const char* other : {"", "GIF89a..............", "\x89PNG"}) {
    EXPECT_EQ(message(other),
              "'f.png' does not begin as a PNG, JPEG or WebP file: give a picture in one of these formats");
  }
  EXPECT_THAT(message("\x89PNG\r\n\x1a\n"), HasSubstr("it is truncated"));
  EXPECT_NE(message(png_of("")), "");
  EXPECT_NE(message(png_of(header(1, 1, 8, 0))), "");                                                // no picture
  EXPECT_NE(message(png_of(header(0, 1, 8, 0))), "");                                                // no size
  EXPECT_NE(message(png_of(header(1, 1, 3, 0))), "");                                                // no such depth
  EXPECT_NE(message(png_of(header(1, 1, 8, 3) + chunk("IDAT", packed(std::string(2, '\0'))))), "");  // no palette
  EXPECT_NE(message(png_of(header(9000, 1, 8, 0))), "");                                             // too wide
  EXPECT_THAT(message(png_of(header(1, 9000, 8, 0))), HasSubstr("it has 1 x 9000 pixels, at most 8192 a side"));
  EXPECT_THAT(message(png_of(header(1, 1, 8, 0)) + std::string(32U << 20, 'x')), HasSubstr("32 MiB"));
  EXPECT_THAT(message(png_of(header(8192, 8192, 8, 2) + chunk("IDAT", packed("x")))), HasSubstr("truncated"));
}

TEST(Png, EveryTruncationAndBitFlipIsAnErrorOrThePicture) {
  const auto whole = encode_png(view(noise(5, 4)), {{"parameters", "text \u2615"}});
  for (size_t size = 0; size < whole.size(); ++size) {
    EXPECT_NE(problem([&] { read_picture(std::span(whole).first(size), "x"); }), "") << size;
  }
  int refused = 0;
  for (size_t bit = 0; bit < whole.size() * 8; ++bit) {
    auto flipped = whole;
    flipped[bit / 8] ^= static_cast<std::byte>(1U << (bit % 8));
    refused += problem([&] { read_picture(flipped, "x"); }).empty() ? 0 : 1;
  }
  EXPECT_GT(refused, static_cast<int>(whole.size() * 4));
}

TEST(Png, TextBombsAreLeftOut) {
  const std::string bomb = chunk("zTXt", std::string("z\0\0", 3) + packed(std::string(5'000'000, 'a')));
  const std::string large = chunk("tEXt", std::string("k\0", 2) + std::string((1U << 20) + 1, 'a'));
  std::string many;
  for (int i = 0; i < 1000; ++i) many += chunk("tEXt", std::string("k\0v", 3));
  const std::string picture = chunk("IDAT", packed(std::string("\0\x05", 2)));
  EXPECT_TRUE(read_picture(bytes(png_of(header(1, 1, 8, 0) + bomb + large + picture)), "x").text.empty());
  EXPECT_LE(read_picture(bytes(png_of(header(1, 1, 8, 0) + many + picture)), "x").text.size(), 64u);
}

TEST(Png, ReadsTheReferencePictures) {
  const auto path = std::filesystem::path(TEMPERA_REFERENCE) / "dev" / "init.png";
  if (!std::filesystem::exists(path)) GTEST_SKIP() << "no reference folder";
  const PictureFile file = read_picture(bytes(read_text_file(path, 1 << 20)), path.string());
  EXPECT_EQ(file.image.rgb.size(), static_cast<size_t>(file.image.width) * file.image.height * 3);
}

}  // namespace
}  // namespace tempera
