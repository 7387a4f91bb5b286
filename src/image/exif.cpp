#include "image/exif.h"

#include <algorithm>
#include <array>
#include <optional>
#include <string>

#include "base/utf8.h"
#include "image/decoders.h"

namespace tempera {
namespace {

enum Tag : uint16_t {
  kImageDescription = 270,
  kMake = 271,
  kModel = 272,
  kOrientation = 274,
  kExifFolder = 34665,
  kUserComment = 37510,
};
enum Type : uint16_t { kByte = 1, kAscii = 2, kShort = 3, kLong = 4, kUndefined = 7 };

constexpr size_t kEntryBytes = 12;

// Numbers of a TIFF structure, in its byte order.
class Tiff {
 public:
  Tiff(Bytes data, bool big_endian) : data_(data), big_endian_(big_endian) {}

  bool big_endian() const { return big_endian_; }
  size_t size() const { return data_.size(); }
  std::optional<uint32_t> u16(size_t at) const { return number(at, 2); }
  std::optional<uint32_t> u32(size_t at) const { return number(at, 4); }
  // Empty if they are not all inside the data.
  Bytes bytes(size_t at, size_t count) const {
    if (at > data_.size() || count > data_.size() - at) return {};
    return data_.subspan(at, count);
  }

 private:
  std::optional<uint32_t> number(size_t at, size_t count) const {
    const Bytes part = bytes(at, count);
    if (part.empty()) return std::nullopt;
    uint32_t value = 0;
    for (size_t i = 0; i < count; ++i)
      value = value << 8 | std::to_integer<uint32_t>(part[big_endian_ ? i : count - 1 - i]);
    return value;
  }

  Bytes data_;
  bool big_endian_;
};

struct Entry {
  uint32_t tag, type, count;
  size_t value_at;  // of the four bytes that are the value or its offset
};

size_t bytes_of(uint32_t type) {
  switch (type) {
    case kByte:
    case kAscii:
    case kUndefined:
      return 1;
    case kShort:
      return 2;
    case kLong:
      return 4;
    default:
      return 0;
  }
}

// A single whole number.
std::optional<uint32_t> number_of(const Tiff& tiff, const Entry& entry) {
  if (entry.count != 1) return std::nullopt;
  if (entry.type == kShort) return tiff.u16(entry.value_at);
  if (entry.type == kLong) return tiff.u32(entry.value_at);
  if (entry.type == kByte) return std::to_integer<uint32_t>(tiff.bytes(entry.value_at, 1)[0]);
  return std::nullopt;
}

Bytes bytes_of(const Tiff& tiff, const Entry& entry) {
  if (bytes_of(entry.type) != 1) return {};
  if (entry.count <= 4) return tiff.bytes(entry.value_at, entry.count);
  const std::optional<uint32_t> offset = tiff.u32(entry.value_at);
  return offset ? tiff.bytes(*offset, entry.count) : Bytes{};
}

// Up to the first NUL, without spaces at the end: cameras fill empty texts with spaces.
std::string plain_text(Bytes bytes) {
  std::string_view text = as_text(bytes);
  text = text.substr(0, text.find('\0'));
  const size_t last = text.find_last_not_of(' ');
  return valid_utf8(text.substr(0, last == std::string_view::npos ? 0 : last + 1));
}

// Unpaired surrogates become U+FFFD. NUL is left out.
std::string utf16_text(Bytes bytes, bool tiff_is_big_endian) {
  const auto unit = [&](size_t i, bool big_endian) {
    const auto first = std::to_integer<uint32_t>(bytes[2 * i]), second = std::to_integer<uint32_t>(bytes[2 * i + 1]);
    return big_endian ? first << 8 | second : second << 8 | first;
  };
  const size_t count = bytes.size() / 2;
  size_t at = 0, latin_big = 0, latin_little = 0;
  for (size_t i = 0; i < count; ++i) {
    latin_big += unit(i, true) - 1U < 0xFF ? 1 : 0;
    latin_little += unit(i, false) - 1U < 0xFF ? 1 : 0;
  }
  bool big_endian = latin_big == latin_little ? tiff_is_big_endian : latin_big > latin_little;
  constexpr uint32_t kMark = 0xFEFF;
  if (count > 0 && (unit(0, true) == kMark || unit(0, false) == kMark)) {
    big_endian = unit(0, true) == kMark;
    at = 1;
  }
  std::string text;
  for (; at < count; ++at) {
    char32_t code = unit(at, big_endian);
    if (code == 0) continue;
    if (code >= 0xD800 && code < 0xE000) {
      const char32_t low = at + 1 < count ? unit(at + 1, big_endian) : 0;
      if (code < 0xDC00 && low >= 0xDC00 && low < 0xE000) {
        code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00);
        ++at;
      } else {
        code = 0xFFFD;
      }
    }
    append_utf8(text, code);
  }
  return text;
}

std::string user_comment(Bytes bytes, bool tiff_is_big_endian) {
  using namespace std::string_view_literals;
  constexpr size_t kCharacterSetBytes = 8;
  const std::string_view character_set = as_text(bytes).substr(0, kCharacterSetBytes);
  const bool has_set = character_set == "ASCII\0\0\0"sv || character_set == "\0\0\0\0\0\0\0\0"sv;
  if (character_set == "JIS\0\0\0\0\0"sv) return "";
  if (character_set == "UNICODE\0"sv) return utf16_text(bytes.subspan(kCharacterSetBytes), tiff_is_big_endian);
  return plain_text(has_set ? bytes.subspan(kCharacterSetBytes) : bytes);
}

void add_if_any(PictureText& text, std::string_view key, std::string value) {
  if (!value.empty()) add_text(text, key, std::move(value));
}

// One folder (IFD) of the structure. `exif_folder` is set to the place of the EXIF folder, if there is one. The tags of
// both folders are accepted in each of them, because programs mix them up.
void read_folder(const Tiff& tiff, size_t at, Exif& exif, size_t& exif_folder) {
  const size_t declared = tiff.u16(at).value_or(0);
  if (declared == 0) return;
  const size_t present = std::min(declared, (tiff.size() - at - 2) / kEntryBytes);
  for (size_t i = 0; i < present; ++i) {
    const size_t begin = at + 2 + i * kEntryBytes;
    const Entry entry{*tiff.u16(begin), *tiff.u16(begin + 2), *tiff.u32(begin + 4), begin + 8};
    if (entry.tag == kOrientation) {
      exif.orientation = static_cast<int>(std::min<uint32_t>(number_of(tiff, entry).value_or(0), INT16_MAX));
    } else if (entry.tag == kExifFolder) {
      exif_folder = number_of(tiff, entry).value_or(0);
    } else if (entry.tag == kUserComment) {
      add_if_any(exif.text, "UserComment", user_comment(bytes_of(tiff, entry), tiff.big_endian()));
    } else if (entry.tag == kImageDescription || entry.tag == kMake || entry.tag == kModel) {
      constexpr std::array kNames = {"ImageDescription", "Make", "Model"};
      add_if_any(exif.text, kNames[entry.tag - kImageDescription], plain_text(bytes_of(tiff, entry)));
    }
  }
}

}  // namespace

Exif parse_exif(std::span<const std::byte> data) {
  using namespace std::string_view_literals;
  constexpr size_t kPrefixBytes = 6;
  while (as_text(data).starts_with("Exif\0\0"sv)) data = data.subspan(kPrefixBytes);
  Exif exif;
  const bool big_endian = as_text(data).starts_with("MM\0*"sv);
  if (!big_endian && !as_text(data).starts_with("II*\0"sv)) return exif;
  const Tiff tiff(data, big_endian);
  const size_t folder = tiff.u32(4).value_or(0);
  size_t exif_folder = 0, ignored = 0;
  if (folder != 0) read_folder(tiff, folder, exif, exif_folder);
  if (exif_folder != 0 && exif_folder != folder) {
    // The orientation is a tag of the first folder only.
    const std::optional<int> orientation = exif.orientation;
    read_folder(tiff, exif_folder, exif, ignored);
    exif.orientation = orientation;
  }
  return exif;
}

}  // namespace tempera
