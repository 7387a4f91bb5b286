// PNG files through libpng, with text chunks. The writer is for tempera's pictures, the reader for those of any
// program.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "image/image.h"

namespace tempera {

// Keyword and text (UTF-8), in the order of the file.
using PngText = std::vector<std::pair<std::string, std::string>>;

// A picture to write: width and height from 1 to 2^31 - 1, rgb of (H, W, 3).
struct RgbView {
  int width, height;
  std::span<const uint8_t> rgb;
};

// The file's bytes, with compression level 2. Texts become tEXt chunks if they fit in Latin-1, else iTXt chunks, before
// the picture, as in Pillow's PngInfo.add_text; an XMP packet (kXmpKeyword) is always an iTXt chunk. Invalid UTF-8
// becomes U+FFFD. NUL is left out, since PNG cannot store it. A keyword is 1 to 79 printable ASCII characters.
std::vector<std::byte> encode_png(RgbView image, const PngText& text = {});

struct PngFile {
  Image8 image;
  PngText text;  // from chunks before and after the picture; always valid UTF-8
};

// Any colour type and depth as RGB8, as in Pillow's convert("RGB"): alpha is dropped, 16 bits keep the upper 8, gamma
// is ignored. Throws Error(bad_file, "'<what>' is not a readable PNG: ...") for malformed or truncated files and for
// more than 8192 pixels a side or 32 MiB encoded. Texts above 1 MiB, and all after the first 64, are left out.
PngFile read_png(std::span<const std::byte> bytes, std::string_view what);

std::string libpng_version();  // of the library loaded: "1.6.39"

}  // namespace tempera
