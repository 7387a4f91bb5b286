// Writing PNG files through libpng, with text chunks. picture_file.h reads them.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <vector>

#include "image/image.h"
#include "image/picture_file.h"

namespace tempera {

// A picture to write: width and height from 1 to 2^31 - 1, rgb of (H, W, 3).
struct RgbView {
  int width, height;
  std::span<const uint8_t> rgb;
};

// The file's bytes, with compression level 2. Texts become tEXt chunks if they fit in Latin-1, else iTXt chunks, before
// the picture, as in Pillow's PngInfo.add_text; an XMP packet (kXmpKeyword) is always an iTXt chunk. Invalid UTF-8
// becomes U+FFFD. NUL is left out, since PNG cannot store it. A keyword is 1 to 79 printable ASCII characters.
std::vector<std::byte> encode_png(RgbView image, const PictureText& text = {});

std::string libpng_version();  // of the library loaded: "1.6.39"

}  // namespace tempera
