// JPEG and WebP files of our writers, read by the decoders of libjpeg-turbo and libwebp.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <webp/decode.h>
#include <webp/mux.h>

#include <cstdio>
#include <cstdlib>
#include <functional>

#include <jpeglib.h>

#include "base/error.h"
#include "image/jpeg_writer.h"
#include "image/png.h"
#include "image/webp_writer.h"

namespace tempera {
namespace {
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Pair;

// A smooth picture, as lossy formats are made for.
Image8 gradient(int width, int height) {
  Image8 image{width, height, {}};
  for (int y = 0; y < height; ++y)
    for (int x = 0; x < width; ++x)
      for (const int value : {x * 255 / width, y * 255 / height, (x + y) * 255 / (width + height)})
        image.rgb.push_back(static_cast<uint8_t>(value));
  return image;
}

RgbView view(const Image8& image) {
  return {image.width, image.height, image.rgb};
}

std::string text_of(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

struct Jpeg {
  Image8 image;
  std::vector<std::string> segments;  // data of APP1
  int colour_sampling = 0;            // of the first component: 2 with half the resolution of colours
};

Jpeg read_jpeg(std::span<const std::byte> bytes) {
  Jpeg jpeg;
  jpeg_decompress_struct state{};
  jpeg_error_mgr errors{};
  state.err = jpeg_std_error(&errors);  // an error ends the test's process
  jpeg_create_decompress(&state);
  jpeg_mem_src(&state, reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size());
  jpeg_save_markers(&state, JPEG_APP0 + 1, 0xFFFF);
  jpeg_read_header(&state, TRUE);
  for (const jpeg_marker_struct* marker = state.marker_list; marker != nullptr; marker = marker->next)
    jpeg.segments.emplace_back(reinterpret_cast<const char*>(marker->data), marker->data_length);
  jpeg.colour_sampling = state.comp_info[0].h_samp_factor;
  state.out_color_space = JCS_RGB;
  jpeg_start_decompress(&state);
  jpeg.image = {static_cast<int>(state.output_width), static_cast<int>(state.output_height), {}};
  jpeg.image.rgb.resize(static_cast<size_t>(jpeg.image.width) * jpeg.image.height * 3);
  while (state.output_scanline < state.output_height) {
    JSAMPROW row = jpeg.image.rgb.data() + static_cast<size_t>(state.output_scanline) * jpeg.image.width * 3;
    jpeg_read_scanlines(&state, &row, 1);
  }
  jpeg_finish_decompress(&state);
  jpeg_destroy_decompress(&state);
  return jpeg;
}

Image8 read_webp(std::span<const std::byte> bytes) {
  int width = 0, height = 0;
  const auto* begin = reinterpret_cast<const uint8_t*>(bytes.data());
  uint8_t* pixels = WebPDecodeRGB(begin, bytes.size(), &width, &height);
  Image8 image{width, height, {}};
  if (pixels != nullptr) image.rgb.assign(pixels, pixels + static_cast<size_t>(width) * height * 3);
  WebPFree(pixels);
  return image;
}

std::string webp_chunk(std::span<const std::byte> bytes, const char* name) {
  const WebPData data{reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size()};
  WebPMux* mux = WebPMuxCreate(&data, 0);
  WebPData chunk{};
  std::string text;
  if (WebPMuxGetChunk(mux, name, &chunk) == WEBP_MUX_OK) text.assign(chunk.bytes, chunk.bytes + chunk.size);
  WebPMuxDelete(mux);
  return text;
}

int largest_difference(const Image8& a, const Image8& b) {
  EXPECT_EQ(a.rgb.size(), b.rgb.size());
  int largest = 0;
  for (size_t i = 0; i < std::min(a.rgb.size(), b.rgb.size()); ++i)
    largest = std::max(largest, std::abs(a.rgb[i] - b.rgb[i]));
  return largest;
}

std::string problem(const std::function<void()>& call) {
  try {
    call();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::invalid_argument);
    return error.what();
  }
  return "";
}

TEST(PictureWriter, JpegHasThePictureAndBothTexts) {
  const Image8 image = gradient(50, 33);
  const PictureMetadata metadata{"red \xC3\xA4 \xF0\x9F\x8D\x8E", xmp_source_type(false)};
  const Jpeg jpeg = read_jpeg(encode_jpeg(view(image), 95, metadata));
  EXPECT_EQ(jpeg.image.width, 50);
  EXPECT_EQ(jpeg.image.height, 33);
  EXPECT_LE(largest_difference(jpeg.image, image), 6);
  ASSERT_EQ(jpeg.segments.size(), 2u);
  EXPECT_EQ(jpeg.segments[0], std::string("Exif\0\0", 6) + text_of(exif_user_comment(metadata.parameters)));
  EXPECT_EQ(jpeg.segments[1], std::string("http://ns.adobe.com/xap/1.0/\0", 29) + metadata.xmp);
}

TEST(PictureWriter, JpegQuality) {
  const Image8 image = gradient(64, 64);
  const auto low = encode_jpeg(view(image), 20), half = encode_jpeg(view(image), 89),
             full = encode_jpeg(view(image), 90);
  EXPECT_LT(low.size(), half.size());
  EXPECT_EQ(read_jpeg(half).colour_sampling, 2);
  EXPECT_EQ(read_jpeg(full).colour_sampling, 1);
  EXPECT_LT(largest_difference(read_jpeg(full).image, image), largest_difference(read_jpeg(low).image, image));
  EXPECT_TRUE(read_jpeg(full).segments.empty());
}

TEST(PictureWriter, JpegRefusesTextsThatDoNotFit) {
  const Image8 image = gradient(8, 8);
  EXPECT_EQ(read_jpeg(encode_jpeg(view(image), 95, {std::string(32000, 'a'), ""})).segments.size(), 1u);
  EXPECT_THAT(problem([&] {
                encode_jpeg(view(image), 95, {std::string(33000, 'a'), ""});
              }),
              HasSubstr("room for 65527: write PNG or WebP instead"));
  EXPECT_THAT(problem([&] { encode_jpeg(view(image), 95, {"", std::string(66000, 'a')}); }), HasSubstr("XMP data"));
}

TEST(PictureWriter, WebpIsLosslessUnlessItHasAQuality) {
  const Image8 image = gradient(50, 33);
  const PictureMetadata metadata{"red \xC3\xA4", xmp_source_type(true)};
  const auto lossless = encode_webp(view(image), {}, metadata);
  EXPECT_EQ(read_webp(lossless).rgb, image.rgb);
  EXPECT_EQ(webp_chunk(lossless, "EXIF"), text_of(exif_user_comment(metadata.parameters)));
  EXPECT_EQ(webp_chunk(lossless, "XMP "), metadata.xmp);
  const auto lossy = encode_webp(view(image), 90, {});
  EXPECT_NE(read_webp(lossy).rgb, image.rgb);
  EXPECT_LE(largest_difference(read_webp(lossy), image), 16);
  EXPECT_EQ(webp_chunk(lossy, "EXIF"), "");
  EXPECT_LT(encode_webp(view(image), 10).size(), encode_webp(view(image), 100).size());
}

TEST(PictureWriter, RefusesSidesThatAFormatDoesNotHave) {
  const Image8 wide{65536, 1, std::vector<uint8_t>(65536 * 3)};
  EXPECT_THAT(problem([&] { encode_jpeg(view(wide), 95); }), HasSubstr("65536 x 1 is too large for a JPEG file"));
  EXPECT_THAT(problem([&] { encode_webp(view(wide)); }), HasSubstr("65536 x 1 is too large for a WebP file"));
}

TEST(PictureWriter, UserCommentsAreBigEndianUtf16) {
  const std::string exif = text_of(exif_user_comment("a\xC3\xA4\xF0\x9F\x8D\x8E\xFF"));
  const std::string comment("UNICODE\0\0a\0\xE4\xD8\x3C\xDF\x4E\xFF\xFD", 18);
  EXPECT_EQ(exif.substr(0, 8), std::string("MM\0\x2A\0\0\0\x08", 8));
  EXPECT_EQ(exif.substr(44), comment);
  // The entry of the comment: tag, type "undefined", number of bytes, place.
  EXPECT_EQ(exif.substr(28, 12), std::string("\x92\x86\0\7\0\0\0\x12\0\0\0\x2C", 12));
}

TEST(PictureWriter, XmpNamesTheSource) {
  EXPECT_THAT(xmp_source_type(false),
              HasSubstr("\"http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia\""));
  EXPECT_THAT(xmp_source_type(true),
              HasSubstr("\"http://cv.iptc.org/newscodes/digitalsourcetype/compositeWithTrainedAlgorithmicMedia\""));
}

// Readers of XMP look for an iTXt chunk.
TEST(PictureWriter, XmpInPngIsInternational) {
  const Image8 image = gradient(4, 4);
  const auto file = encode_png(view(image), {{"parameters", "p"}, {std::string(kXmpKeyword), "<x/>"}});
  EXPECT_THAT(text_of(file), HasSubstr(std::string("iTXtXML:com.adobe.xmp\0\0\0\0\0<x/>", 30)));
  EXPECT_THAT(read_picture(file, "x").text, ElementsAre(Pair("parameters", "p"), Pair("XML:com.adobe.xmp", "<x/>")));
}

}  // namespace
}  // namespace tempera
