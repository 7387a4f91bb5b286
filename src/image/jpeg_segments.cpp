// The segments of a JPEG file, found without decoding: size, texts, profile, EXIF data, number of scans.
#include <algorithm>
#include <string>
#include <utility>

#include "base/utf8.h"
#include "image/decoders.h"

namespace tempera {
namespace {
using namespace std::string_view_literals;

constexpr auto kExifPrefix = "Exif\0\0"sv;
constexpr auto kXmpPrefix = "http://ns.adobe.com/xap/1.0/\0"sv;
constexpr auto kIccPrefix = "ICC_PROFILE\0"sv;

enum Marker : unsigned {
  kTem = 0x01,
  kRst0 = 0xD0,
  kSoi = 0xD8,
  kEoi = 0xD9,
  kSos = 0xDA,
  kApp1 = 0xE1,
  kApp2 = 0xE2,
  kCom = 0xFE,
};

// SOF0 to SOF15. Three markers of this range have other purposes: DHT, JPG and DAC.
bool is_frame_header(unsigned marker) {
  return marker >= 0xC0 && marker <= 0xCF && marker != 0xC4 && marker != 0xC8 && marker != 0xCC;
}

int u16(Bytes bytes, size_t at) {
  return std::to_integer<int>(bytes[at]) << 8 | std::to_integer<int>(bytes[at + 1]);
}

// One part of an ICC profile: its number from 1 on, how many parts there are, the bytes.
struct ProfilePart {
  int number, count;
  Bytes bytes;
};

void append(std::vector<std::byte>& to, Bytes bytes) {
  to.insert(to.end(), bytes.begin(), bytes.end());
}

// Empty if a part is missing or there is one too many: such a profile is ignored, as in Pillow.
std::vector<std::byte> joined(const PictureSource& source, std::vector<ProfilePart> parts) {
  std::sort(parts.begin(), parts.end(), [](const auto& a, const auto& b) { return a.number < b.number; });
  size_t size = 0;
  for (size_t i = 0; i < parts.size(); ++i) {
    if (parts[i].number != static_cast<int>(i) + 1 || parts[i].count != static_cast<int>(parts.size())) return {};
    size += parts[i].bytes.size();
  }
  if (size > kMaxProfileBytes) source.refuse("its ICC profile is larger than 4 MiB");
  std::vector<std::byte> profile;
  for (const ProfilePart& part : parts) append(profile, part.bytes);
  return profile;
}

// Goes through the markers. Bytes between segments are entropy-coded data, or are ignored as in libjpeg.
class Reader {
 public:
  explicit Reader(const PictureSource& source) : source_(source), left_(source.bytes) {}

  // Refuses a file without a frame header, and a file that ends before its end marker (EOI).
  PictureParts read() {
    while (true) {
      const unsigned marker = next_marker();
      if (marker == kEoi) break;
      if (marker <= kTem || (marker >= kRst0 && marker <= kSoi)) continue;  // 0 is a byte 0xFF of the data
      if (left_.size() < 2 || u16(left_, 0) < 2 || static_cast<size_t>(u16(left_, 0)) > left_.size()) truncated();
      const auto length = static_cast<size_t>(u16(left_, 0));
      segment(marker, left_.subspan(2, length - 2));
      left_ = left_.subspan(length);
    }
    if (!has_frame_) source_.refuse("it has no picture");
    parts_.icc = joined(source_, std::move(profile_));
    return std::move(parts_);
  }

 private:
  [[noreturn]] void truncated() const { source_.refuse("it is truncated"); }

  unsigned next_marker() {
    constexpr std::byte kMarker{0xFF};
    auto at = std::find(left_.begin(), left_.end(), kMarker);
    while (at != left_.end() && *at == kMarker) ++at;
    if (at == left_.end()) truncated();
    left_ = left_.subspan(static_cast<size_t>(at - left_.begin()) + 1);
    return std::to_integer<unsigned>(*at);
  }

  void segment(unsigned marker, Bytes data) {
    const std::string_view text = as_text(data);
    if (marker == kSos) {
      ++parts_.scans;
    } else if (is_frame_header(marker) && !has_frame_ && data.size() >= 6) {
      has_frame_ = true;
      parts_.height = u16(data, 1);
      parts_.width = u16(data, 3);
    } else if (marker == kCom) {
      add_text(parts_.text, "Comment", valid_utf8(text.substr(0, text.find('\0'))));
    } else if (marker == kApp1 && text.starts_with(kExifPrefix)) {
      append(parts_.exif, data.subspan(kExifPrefix.size()));  // data of more than 64 KiB continues in the next segment
    } else if (marker == kApp1 && text.starts_with(kXmpPrefix)) {
      add_text(parts_.text, "XML:com.adobe.xmp", valid_utf8(text.substr(kXmpPrefix.size())));
    } else if (marker == kApp2 && text.starts_with(kIccPrefix) && data.size() >= kIccPrefix.size() + 2) {
      const Bytes rest = data.subspan(kIccPrefix.size());
      constexpr size_t kMostParts = 255;
      if (profile_.size() <= kMostParts)
        profile_.push_back({std::to_integer<int>(rest[0]), std::to_integer<int>(rest[1]), rest.subspan(2)});
    }
  }

  const PictureSource& source_;
  Bytes left_;
  bool has_frame_ = false;
  std::vector<ProfilePart> profile_;
  PictureParts parts_;
};

}  // namespace

PictureParts scan_jpeg(const PictureSource& source) {
  return Reader(source).read();
}

}  // namespace tempera
