// Blocks of metadata that JPEG and WebP files contain, and the XMP packet of every format.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace tempera {

// What a picture file contains in addition to its pixels. Empty texts are left out.
struct PictureMetadata {
  std::string parameters;  // the settings; UTF-8
  std::string xmp;         // an XMP packet
};

inline constexpr std::string_view kParametersKeyword = "parameters";
inline constexpr std::string_view kXmpKeyword = "XML:com.adobe.xmp";  // of an iTXt chunk (XMP specification, part 3)

// A TIFF structure (big-endian) with one tag, UserComment: "UNICODE", NUL, then the text as UTF-16. Readers disagree on
// the byte order of this text. With a big-endian structure, both ways to decide give big-endian (Exif 2.32, 4.6.5).
// Ill-formed UTF-8 becomes U+FFFD.
std::vector<std::byte> exif_user_comment(std::string_view text);

// An XMP packet with IPTC's DigitalSourceType: trainedAlgorithmicMedia, or compositeWithTrainedAlgorithmicMedia for a
// picture of which parts come from another picture (IPTC Photo Metadata Standard 2023.1).
std::string xmp_source_type(bool composite);

}  // namespace tempera
