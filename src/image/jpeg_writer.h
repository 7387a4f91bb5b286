// JPEG files through libjpeg-turbo.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "image/picture_metadata.h"
#include "image/png.h"

namespace tempera {

// Throws Error(invalid_argument) for a side above 65500 pixels, the limit of libjpeg.
void check_jpeg_size(int width, int height);

// A baseline JPEG. quality: 1 to 100, libjpeg's scale. From 90 on, colours have the full resolution (4:4:4), because
// half of it (4:2:0) then loses more than the quantisation; below it they have half. Parameters are in an EXIF segment,
// XMP in its own. Throws Error(invalid_argument) as check_jpeg_size does, and for metadata that do not fit in
// their segments (65,533 bytes each: about 32,000 characters of parameters).
std::vector<std::byte> encode_jpeg(RgbView image, int quality, const PictureMetadata& metadata = {});

std::string libjpeg_version();  // libjpeg-turbo's, of the headers: "2.1.5"

}  // namespace tempera
