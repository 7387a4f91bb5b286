// WebP files through libwebp.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "image/picture_metadata.h"
#include "image/png.h"

namespace tempera {

// Throws Error(invalid_argument) for a side above 16383 pixels, the limit of the format.
void check_webp_size(int width, int height);

// A lossless WebP, or a lossy one with this quality (1 to 100, libwebp's scale). Parameters are in an EXIF chunk, XMP
// in its own. Throws as check_webp_size.
std::vector<std::byte> encode_webp(RgbView image, std::optional<int> quality = {},
                                   const PictureMetadata& metadata = {});

std::string libwebp_version();  // of the library loaded: "1.2.4"

}  // namespace tempera
