// Picture files of any program, as tempera reads them: PNG, JPEG and WebP, recognised by their first bytes. The pixels
// are those of Pillow's exif_transpose and convert("RGB"), because diffusers reads pictures this way.
//
// Differences from Pillow:
// 1. An ICC profile other than sRGB is converted to sRGB (image/icc.h). A profile that cannot be read is ignored; one
// of
//    more than 4 MiB is an error.
// 2. 16 bits of grey keep the upper 8, as those of colours do.
// 3. A JPEG with damaged pixels is an error. Pillow gives a picture with grey in their place.
//
// Limits, checked before pixels are decoded: 8192 pixels a side (64 Mpx), 32 MiB encoded, one frame; for JPEG 64 scans,
// and 448 MiB for a progressive picture.
#pragma once

#include <cstddef>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "image/image.h"

namespace tempera {

// Keyword and text (UTF-8), in the order of the file. Keywords of PNG are those of its chunks ("parameters", "prompt",
// "workflow", ...). The user comment of EXIF data is "UserComment", its tags ImageDescription, Make and Model have
// their own names, a comment of JPEG is "Comment", an XMP packet is "XML:com.adobe.xmp". Texts above 1 MiB, and all
// after the first 64, are left out.
using PictureText = std::vector<std::pair<std::string, std::string>>;

struct PictureFile {
  Image8 image;
  PictureText text;
  std::string_view format;  // "PNG", "JPEG", "WebP"
};

// Throws Error(bad_file), one sentence with `what` (the name of the file).
PictureFile read_picture(std::span<const std::byte> bytes, std::string_view what);
// Reads at most 32 MiB of the file. Throws also Error(io).
PictureFile load_picture(const std::filesystem::path& path);

// The texts alone, without decoding pixels. Throws as read_picture for a file that is no picture.
PictureText read_picture_text(std::span<const std::byte> bytes, std::string_view what);

}  // namespace tempera
