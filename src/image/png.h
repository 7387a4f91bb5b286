// PNG in and out through libpng, with text chunks: the writer for our own pictures, the reader for anybody's.
#pragma once

#include <cstddef>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/atomic_file.h"
#include "image/image.h"

namespace tempera {

// Keyword and text (UTF-8), in the order of the file.
using PngText = std::vector<std::pair<std::string, std::string>>;

// A picture to write: width and height from 1 to 2^31 - 1, rgb of (H, W, 3).
struct RgbView {
  int width, height;
  std::span<const uint8_t> rgb;
};

// The file's bytes; compression level 2. Texts become tEXt where Latin-1 can say them, else iTXt, before the picture,
// as Pillow's PngInfo.add_text does. What is not UTF-8 becomes U+FFFD and NUL is left out, since PNG has no place for
// it. A keyword is 1 to 79 printable ASCII characters.
std::vector<std::byte> encode_png(RgbView image, const PngText& text = {});

// encode_png and write_file_atomically, with their errors.
void write_png(const std::filesystem::path& path, RgbView image, const PngText& text = {},
               IfExists if_exists = IfExists::replace);

struct PngFile {
  Image8 image;
  PngText text;  // from before and after the picture; always valid UTF-8
};

// Any colour type and depth as RGB8, as Pillow's convert("RGB") has it: alpha is dropped, 16 bits keep the upper 8,
// gamma is ignored. Throws Error(bad_file, "'<what>' is not a readable PNG: ...") for what is malformed or truncated
// and for more than 8192 pixels a side, 32 MiB encoded, 1 MiB a text, 64 texts (the excess of these two is left out).
PngFile read_png(std::span<const std::byte> bytes, std::string_view what);

std::string libpng_version();  // of the library loaded: "1.6.39"

}  // namespace tempera
