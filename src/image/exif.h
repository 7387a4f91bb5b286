// The EXIF data of a picture: its orientation, and the texts in which programs store settings.
//
// The parser is our own. libexif reads all tags, also those of camera makers, and most of its security problems were
// there. Five tags are needed here.
#pragma once

#include <cstddef>
#include <optional>
#include <span>

#include "image/picture_file.h"

namespace tempera {

struct Exif {
  std::optional<int> orientation;  // tag 274 of TIFF 6.0; 1 to 8 are defined
  PictureText text;  // "ImageDescription", "Make", "Model" (ComfyUI stores its graph there), "UserComment"
};

// `data` is a TIFF structure, after any number of "Exif\0\0". Malformed parts are ignored, because Pillow and all
// viewers open such pictures.
//
// The user comment (tag 37510) begins with its character set. "UNICODE" is UTF-16. The standard does not say in which
// byte order, and programs differ. So the order is that of a byte order mark; else the one that gives more characters
// below U+0100; else that of the TIFF structure. "JIS" is left out. Any other text is read as UTF-8.
Exif parse_exif(std::span<const std::byte> data);

}  // namespace tempera
