#include "image/jpeg_writer.h"

#include <array>
#include <csetjmp>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <span>

#include <jpeglib.h>

#include "base/error.h"

// libjpeg reports errors by a function that must not return, so this file uses setjmp. compress() holds nothing that
// has a destructor between its setjmp and its end.

namespace tempera {
namespace {

constexpr size_t kMaxSegment = 65533;  // of a marker's data: 16 bits count themselves too
constexpr int kFullColourQuality = 90;
constexpr std::string_view kExifBegin("Exif\0\0", 6);
constexpr std::string_view kXmpBegin("http://ns.adobe.com/xap/1.0/\0", 29);

struct Failure {
  jpeg_error_mgr manager;  // first, so that a pointer to it is a pointer to Failure
  std::jmp_buf jump;
  std::array<char, JMSG_LENGTH_MAX> text;
};

[[noreturn]] void on_error(j_common_ptr state) {
  auto* failure = reinterpret_cast<Failure*>(state->err);
  state->err->format_message(state, failure->text.data());
  std::longjmp(failure->jump, 1);
}

void on_message(j_common_ptr, int) {}

// libjpeg's structures, and the memory that it writes to.
struct Compressor {
  jpeg_compress_struct state{};
  Failure failure{};
  unsigned char* bytes = nullptr;
  unsigned long size = 0;

  ~Compressor() {
    jpeg_destroy_compress(&state);
    std::free(bytes);
  }
};

void write_segment(jpeg_compress_struct& state, const std::string& data) {
  if (data.empty()) return;
  jpeg_write_marker(&state, JPEG_APP0 + 1, reinterpret_cast<const JOCTET*>(data.data()),
                    static_cast<unsigned>(data.size()));
}

bool compress(Compressor& compressor, RgbView image, int quality, const std::string& exif, const std::string& xmp) {
  jpeg_compress_struct& state = compressor.state;
  state.err = jpeg_std_error(&compressor.failure.manager);
  compressor.failure.manager.error_exit = on_error;
  compressor.failure.manager.emit_message = on_message;
  if (setjmp(compressor.failure.jump) != 0) return false;
  jpeg_create_compress(&state);
  jpeg_mem_dest(&state, &compressor.bytes, &compressor.size);
  state.image_width = static_cast<JDIMENSION>(image.width);
  state.image_height = static_cast<JDIMENSION>(image.height);
  state.input_components = 3;
  state.in_color_space = JCS_RGB;
  jpeg_set_defaults(&state);
  jpeg_set_quality(&state, quality, TRUE);
  state.optimize_coding = TRUE;
  if (quality >= kFullColourQuality) state.comp_info[0].h_samp_factor = state.comp_info[0].v_samp_factor = 1;
  jpeg_start_compress(&state, TRUE);
  write_segment(state, exif);
  write_segment(state, xmp);
  const size_t row = static_cast<size_t>(image.width) * 3;
  while (state.next_scanline < state.image_height) {
    auto* line = const_cast<JSAMPROW>(image.rgb.data() + state.next_scanline * row);  // libjpeg only reads it
    jpeg_write_scanlines(&state, &line, 1);
  }
  jpeg_finish_compress(&state);
  return true;
}

std::string segment(std::string_view begin, std::string_view data, std::string_view what) {
  if (data.empty()) return {};
  if (begin.size() + data.size() > kMaxSegment)
    fail(ErrorCode::invalid_argument,
         "the {} of the picture need {} bytes, but a JPEG file has room for {}: write PNG or WebP instead", what,
         data.size(), kMaxSegment - begin.size());
  return std::string(begin).append(data);
}

}  // namespace

void check_jpeg_size(int width, int height) {
  if (width > JPEG_MAX_DIMENSION || height > JPEG_MAX_DIMENSION)
    fail(ErrorCode::invalid_argument,
         "a picture of {} x {} is too large for a JPEG file, whose sides have at most {} pixels: write PNG instead",
         width, height, JPEG_MAX_DIMENSION);
}

std::vector<std::byte> encode_jpeg(RgbView image, int quality, const PictureMetadata& metadata) {
  TEMPERA_ASSERT(image.width > 0 && image.height > 0 && quality >= 1 && quality <= 100);
  TEMPERA_ASSERT(image.rgb.size() == static_cast<size_t>(image.width) * image.height * 3);
  check_jpeg_size(image.width, image.height);
  std::string exif, xmp = segment(kXmpBegin, metadata.xmp, "XMP data");
  if (!metadata.parameters.empty()) {
    const std::vector<std::byte> tiff = exif_user_comment(metadata.parameters);
    exif = segment(kExifBegin, {reinterpret_cast<const char*>(tiff.data()), tiff.size()}, "settings");
  }
  Compressor compressor;
  if (!compress(compressor, image, quality, exif, xmp))
    fail(ErrorCode::out_of_memory, "a picture of {} x {} cannot be packed as JPEG: {}", image.width, image.height,
         compressor.failure.text.data());
  const auto bytes = std::as_bytes(std::span(compressor.bytes, compressor.size));
  return {bytes.begin(), bytes.end()};
}

std::string libjpeg_version() {
  constexpr int kNumber = LIBJPEG_TURBO_VERSION_NUMBER;
  return fmt::format("{}.{}.{}", kNumber / 1000000, kNumber / 1000 % 1000, kNumber % 1000);
}

}  // namespace tempera
