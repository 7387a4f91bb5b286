#include "image/picture_metadata.h"

#include <cstdint>

#include "base/utf8.h"

namespace tempera {
namespace {

// A big-endian TIFF structure that grows at its end.
class TiffBytes {
 public:
  void add16(uint32_t value) {
    add(value >> 8);
    add(value);
  }
  void add32(uint32_t value) {
    add16(value >> 16);
    add16(value);
  }
  void add(std::string_view text) {
    for (const char c : text) add(static_cast<unsigned char>(c));
  }
  std::vector<std::byte> take() { return std::move(bytes_); }

 private:
  void add(uint32_t value) { bytes_.push_back(static_cast<std::byte>(value & 0xFF)); }
  std::vector<std::byte> bytes_;
};

std::u16string utf16(std::string_view raw) {
  const std::string text = valid_utf8(raw);
  std::u16string units;
  for (size_t at = 0; at < text.size();) {
    const char32_t code = next_code_point(text, at);
    if (code < 0x10000) {
      units += static_cast<char16_t>(code);
    } else {
      units += static_cast<char16_t>(0xD800 + ((code - 0x10000) >> 10));
      units += static_cast<char16_t>(0xDC00 + ((code - 0x10000) & 0x3FF));
    }
  }
  return units;
}

}  // namespace

std::vector<std::byte> exif_user_comment(std::string_view text) {
  constexpr uint32_t kTagExif = 0x8769, kTagUserComment = 0x9286, kLong = 4, kUndefined = 7;
  constexpr uint32_t kFirstFolder = 8, kFolderBytes = 2 + 12 + 4;  // a count, one entry, the place of the next folder
  const std::u16string units = utf16(text);
  TiffBytes tiff;
  tiff.add("MM");
  tiff.add16(42);
  tiff.add32(kFirstFolder);
  tiff.add16(1);
  tiff.add16(kTagExif);
  tiff.add16(kLong);
  tiff.add32(1);
  tiff.add32(kFirstFolder + kFolderBytes);
  tiff.add32(0);
  tiff.add16(1);
  tiff.add16(kTagUserComment);
  tiff.add16(kUndefined);
  tiff.add32(static_cast<uint32_t>(8 + units.size() * 2));
  tiff.add32(kFirstFolder + 2 * kFolderBytes);
  tiff.add32(0);
  tiff.add(std::string_view("UNICODE\0", 8));
  for (const char16_t unit : units) tiff.add16(unit);
  return tiff.take();
}

std::string xmp_source_type(bool composite) {
  const std::string type = composite ? "compositeWithTrainedAlgorithmicMedia" : "trainedAlgorithmicMedia";
  return "<?xpacket begin=\"\xEF\xBB\xBF\" id=\"W5M0MpCehiHzreSzNTczkc9d\"?>\n"
         "<x:xmpmeta xmlns:x=\"adobe:ns:meta/\">\n"
         " <rdf:RDF xmlns:rdf=\"http://www.w3.org/1999/02/22-rdf-syntax-ns#\">\n"
         "  <rdf:Description rdf:about=\"\" xmlns:Iptc4xmpExt=\"http://iptc.org/std/Iptc4xmpExt/2008-02-29/\"\n"
         "   Iptc4xmpExt:DigitalSourceType=\"http://cv.iptc.org/newscodes/digitalsourcetype/" +
         type +
         "\"/>\n"
         " </rdf:RDF>\n"
         "</x:xmpmeta>\n"
         "<?xpacket end=\"r\"?>";
}

}  // namespace tempera
