#include "image/webp_writer.h"

#include <webp/encode.h>
#include <webp/mux.h>

#include <memory>
#include <span>

#include "base/error.h"

namespace tempera {
namespace {

// Effort of the lossless encoder, 0 to 9. On drawn pictures, higher levels gain about a per cent for twice the time.
constexpr int kLosslessLevel = 4;

struct Picture {
  WebPPicture picture{};
  WebPMemoryWriter writer{};

  Picture() {
    WebPMemoryWriterInit(&writer);
    if (WebPPictureInit(&picture) == 0) fail(ErrorCode::internal, "internal error: libwebp has another version");
    picture.writer = WebPMemoryWrite;
    picture.custom_ptr = &writer;
  }
  ~Picture() {
    WebPPictureFree(&picture);
    WebPMemoryWriterClear(&writer);
  }
  Picture(const Picture&) = delete;
  Picture& operator=(const Picture&) = delete;
};

WebPConfig config_of(std::optional<int> quality) {
  WebPConfig config;
  bool valid = WebPConfigInit(&config) != 0;
  if (quality) {
    config.quality = static_cast<float>(*quality);
  } else {
    valid = valid && WebPConfigLosslessPreset(&config, kLosslessLevel) != 0;
  }
  TEMPERA_ASSERT(valid && WebPValidateConfig(&config) != 0);
  return config;
}

[[noreturn]] void out_of_memory(RgbView image) {
  fail(ErrorCode::out_of_memory, "a picture of {} x {} cannot be packed as WebP: out of memory", image.width,
       image.height);
}

WebPData data_of(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size()};
}

// The file of the pixels `encoded`, with chunks of metadata.
std::vector<std::byte> with_chunks(RgbView image, const WebPData& encoded, const PictureMetadata& metadata) {
  const std::unique_ptr<WebPMux, void (*)(WebPMux*)> mux(WebPMuxNew(), WebPMuxDelete);
  constexpr int kNoCopy = 0;
  bool done = mux != nullptr && WebPMuxSetImage(mux.get(), &encoded, kNoCopy) == WEBP_MUX_OK;
  const std::vector<std::byte> exif = exif_user_comment(metadata.parameters);
  const WebPData exif_data = data_of(exif), xmp_data = data_of(std::as_bytes(std::span(metadata.xmp)));
  if (done && !metadata.parameters.empty())
    done = WebPMuxSetChunk(mux.get(), "EXIF", &exif_data, kNoCopy) == WEBP_MUX_OK;
  if (done && !metadata.xmp.empty()) done = WebPMuxSetChunk(mux.get(), "XMP ", &xmp_data, kNoCopy) == WEBP_MUX_OK;
  WebPData assembled{};
  if (!done || WebPMuxAssemble(mux.get(), &assembled) != WEBP_MUX_OK) out_of_memory(image);
  const std::unique_ptr<WebPData, void (*)(WebPData*)> owner(&assembled, WebPDataClear);
  const auto bytes = std::as_bytes(std::span(assembled.bytes, assembled.size));
  return {bytes.begin(), bytes.end()};
}

}  // namespace

void check_webp_size(int width, int height) {
  if (width > WEBP_MAX_DIMENSION || height > WEBP_MAX_DIMENSION)
    fail(ErrorCode::invalid_argument,
         "a picture of {} x {} is too large for a WebP file, whose sides have at most {} pixels: write PNG instead",
         width, height, WEBP_MAX_DIMENSION);
}

std::vector<std::byte> encode_webp(RgbView image, std::optional<int> quality, const PictureMetadata& metadata) {
  TEMPERA_ASSERT(image.width > 0 && image.height > 0);
  TEMPERA_ASSERT(image.rgb.size() == static_cast<size_t>(image.width) * image.height * 3);
  check_webp_size(image.width, image.height);
  const WebPConfig config = config_of(quality);
  Picture encoder;
  encoder.picture.use_argb = quality ? 0 : 1;
  encoder.picture.width = image.width;
  encoder.picture.height = image.height;
  if (WebPPictureImportRGB(&encoder.picture, image.rgb.data(), image.width * 3) == 0 ||
      WebPEncode(&config, &encoder.picture) == 0)
    out_of_memory(image);
  return with_chunks(image, {encoder.writer.mem, encoder.writer.size}, metadata);
}

std::string libwebp_version() {
  const int version = WebPGetEncoderVersion();
  return fmt::format("{}.{}.{}", version >> 16, (version >> 8) & 0xFF, version & 0xFF);
}

}  // namespace tempera
