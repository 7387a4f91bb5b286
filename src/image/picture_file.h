// Picture files of any program, as tempera reads them: PNG, JPEG and WebP, recognised by their first bytes. The pixels
// are those of Pillow's exif_transpose and convert("RGB"), because diffusers reads pictures this way. One addition: an
// ICC profile other than sRGB is converted to sRGB.
//
// Limits, checked before pixels are decoded: 64 Mpx, 8192 pixels a side, 32 MiB encoded, one frame.
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
// "workflow", ...). The user comment of EXIF data is "UserComment", a comment of JPEG is "Comment", an XMP packet is
// "XML:com.adobe.xmp". Texts above 1 MiB, and all after the first 64, are left out.
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
