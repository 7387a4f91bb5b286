// The decoders behind picture_file.h, one for each format. Each has two functions:
//   scan_*    the size, the texts, the ICC profile and the EXIF data, without decoding pixels
//   decode_*  the pixels as sRGB, of a file that was scanned and whose size is within the limits
// Both refuse a malformed file with PictureSource::refuse.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "image/image.h"
#include "image/picture_file.h"

namespace tempera {

using Bytes = std::span<const std::byte>;

inline constexpr int kMaxPictureSide = 8192;
inline constexpr size_t kMaxEncodedBytes = size_t{32} << 20;
inline constexpr size_t kMaxTextBytes = size_t{1} << 20;
inline constexpr size_t kMaxTexts = 64;
inline constexpr size_t kMaxProfileBytes = size_t{4} << 20;  // the profiles of printing (CMYK) have up to 2 MiB

struct PictureSource {
  Bytes bytes;
  std::string_view what;    // the name of the file
  std::string_view format;  // "PNG", "JPEG", "WebP"

  // Throws Error(bad_file, "'<what>' is not a readable <format>: <why>").
  [[noreturn]] void refuse(std::string_view why) const;
};

struct PictureParts {
  int width = 0, height = 0;    // as the header says, before the orientation is applied
  std::vector<std::byte> icc;   // empty if there is none
  std::vector<std::byte> exif;  // a TIFF structure, after any number of "Exif\0\0"; empty if there is none
  PictureText text;
  size_t scans = 0;  // of a JPEG
};

// Appends a text that is within the limits of picture_file.h.
void add_text(PictureText& text, std::string_view key, std::string value);

PictureParts scan_png(const PictureSource& source);
PictureParts scan_jpeg(const PictureSource& source);
PictureParts scan_webp(const PictureSource& source);

Image8 decode_png(const PictureSource& source, const PictureParts& parts);
Image8 decode_jpeg(const PictureSource& source, const PictureParts& parts);
Image8 decode_webp(const PictureSource& source, const PictureParts& parts);

// Of the libraries loaded: "1.2.13".
std::string lcms_library_version();
std::string zlib_library_version();

inline std::string_view as_text(Bytes bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}
inline const uint8_t* as_uint8(Bytes bytes) {
  return reinterpret_cast<const uint8_t*>(bytes.data());
}

}  // namespace tempera
