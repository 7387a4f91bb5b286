// Common to the fuzz targets of picture formats.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>

#include "base/error.h"
#include "expect.h"
#include "image/decoders.h"

namespace tempera {

// Any bytes are a picture or give Error(bad_file). Pictures of more than 4096 pixels are not decoded, so that most
// inputs take less than a millisecond. The texts are the same with and without the pixels.
inline std::optional<PictureFile> read_small_picture(std::span<const std::byte> bytes, std::string_view format,
                                                     PictureParts (*scan)(const PictureSource&)) {
  constexpr int64_t kMaxPixels = 4096;
  try {
    const PictureParts parts = scan({bytes, "fuzz", format});
    if (int64_t{parts.width} * parts.height > kMaxPixels) return std::nullopt;
    PictureFile file = read_picture(bytes, "fuzz");
    const Image8& image = file.image;
    expect(image.width > 0 && image.height > 0 && image.width <= kMaxPictureSide && image.height <= kMaxPictureSide);
    expect(image.rgb.size() == static_cast<size_t>(image.width) * image.height * 3);
    expect(file.text == read_picture_text(bytes, "fuzz"));
    return file;
  } catch (const Error& error) {
    expect(error.code() == ErrorCode::bad_file);
    return std::nullopt;
  }
}

}  // namespace tempera
