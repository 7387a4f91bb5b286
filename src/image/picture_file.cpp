#include "image/picture_file.h"

#include <algorithm>
#include <string>

#include "base/error.h"
#include "base/json.h"
#include "image/decoders.h"
#include "image/exif.h"

namespace tempera {
namespace {
using namespace std::string_view_literals;

struct Format {
  std::string_view name;
  bool (*begins)(std::string_view bytes);
  PictureParts (*scan)(const PictureSource&);
  Image8 (*decode)(const PictureSource&, const PictureParts&);
};

constexpr Format kFormats[] = {
    {"PNG", [](std::string_view b) { return b.starts_with("\x89PNG\r\n\x1a\n"sv); }, scan_png, decode_png},
    {"JPEG", [](std::string_view b) { return b.starts_with("\xFF\xD8\xFF"sv); }, scan_jpeg, decode_jpeg},
    {"WebP", [](std::string_view b) { return b.size() >= 12 && b.starts_with("RIFF"sv) && b.substr(8, 4) == "WEBP"sv; },
     scan_webp, decode_webp},
};

const Format& format_of(std::span<const std::byte> bytes, std::string_view what) {
  for (const Format& format : kFormats)
    if (format.begins(as_text(bytes))) return format;
  fail(ErrorCode::bad_file, "'{}' does not begin as a PNG, JPEG or WebP file: give a picture in one of these formats",
       what);
}

struct Scanned {
  PictureSource source;
  PictureParts parts;
  int orientation;
  const Format* format;
};

// Pillow searches the XMP packet for the orientation if the EXIF data has none.
int orientation_of(const Exif& exif, const PictureText& text) {
  if (exif.orientation) return *exif.orientation;
  for (const auto& [key, value] : text) {
    if (key != "XML:com.adobe.xmp") continue;
    constexpr auto kName = "tiff:Orientation"sv;
    for (size_t at = value.find(kName); at != std::string::npos; at = value.find(kName, at + 1)) {
      std::string_view rest = std::string_view(value).substr(at + kName.size());
      const size_t mark = rest.starts_with("=\""sv) ? 2 : rest.starts_with(">"sv) ? 1 : 0;
      if (mark == 0 || rest.size() <= mark || rest[mark] < '0' || rest[mark] > '9') continue;
      return rest[mark] - '0';
    }
    return 1;
  }
  return 1;
}

Scanned scan(std::span<const std::byte> bytes, std::string_view what) {
  const Format& format = format_of(bytes, what);
  const PictureSource source{bytes, what, format.name};
  if (bytes.size() > kMaxEncodedBytes) source.refuse("it is larger than 32 MiB");
  PictureParts parts = format.scan(source);
  Exif exif = parse_exif(parts.exif);
  const int orientation = orientation_of(exif, parts.text);
  for (auto& [key, value] : exif.text) add_text(parts.text, key, std::move(value));
  return {source, std::move(parts), orientation, &format};
}

// The pixel of `from` that is at (x, y) of the result, for the orientations 2 to 8.
template <class Place>
Image8 rearranged(const Image8& from, int width, int height, Place place) {
  Image8 to{width, height, std::vector<uint8_t>(from.rgb.size())};
  // In tiles, because the rows of one picture can be the columns of the other.
  constexpr int kTile = 32;
  for (int top = 0; top < height; top += kTile) {
    for (int left = 0; left < width; left += kTile) {
      const int bottom = std::min(top + kTile, height), right = std::min(left + kTile, width);
      for (int y = top; y < bottom; ++y) {
        for (int x = left; x < right; ++x) {
          const auto [from_x, from_y] = place(x, y);
          const uint8_t* pixel = &from.rgb[(static_cast<size_t>(from_y) * from.width + from_x) * 3];
          std::copy(pixel, pixel + 3, &to.rgb[(static_cast<size_t>(y) * width + x) * 3]);
        }
      }
    }
  }
  return to;
}

// TIFF 6.0, tag 274: the place of the stored row 0 and column 0 in the picture.
Image8 upright(Image8 image, int orientation) {
  const int w = image.width, h = image.height, last_x = w - 1, last_y = h - 1;
  using Place = std::pair<int, int>;
  switch (orientation) {
    case 2:
      return rearranged(image, w, h, [=](int x, int y) { return Place(last_x - x, y); });
    case 3:
      return rearranged(image, w, h, [=](int x, int y) { return Place(last_x - x, last_y - y); });
    case 4:
      return rearranged(image, w, h, [=](int x, int y) { return Place(x, last_y - y); });
    case 5:
      return rearranged(image, h, w, [=](int x, int y) { return Place(y, x); });
    case 6:
      return rearranged(image, h, w, [=](int x, int y) { return Place(y, last_y - x); });
    case 7:
      return rearranged(image, h, w, [=](int x, int y) { return Place(last_x - y, last_y - x); });
    case 8:
      return rearranged(image, h, w, [=](int x, int y) { return Place(last_x - y, x); });
    default:
      return image;
  }
}

}  // namespace

void PictureSource::refuse(std::string_view why) const {
  fail(ErrorCode::bad_file, "'{}' is not a readable {}: {}", what, format, why);
}

void add_text(PictureText& text, std::string_view key, std::string value) {
  if (value.size() <= kMaxTextBytes && text.size() < kMaxTexts) text.emplace_back(key, std::move(value));
}

PictureFile read_picture(std::span<const std::byte> bytes, std::string_view what) {
  Scanned file = scan(bytes, what);
  const PictureParts& parts = file.parts;
  if (parts.width < 1 || parts.height < 1) file.source.refuse("it has no pixels");
  if (parts.width > kMaxPictureSide || parts.height > kMaxPictureSide)
    file.source.refuse(fmt::format("it has {} x {} pixels, at most {} a side are read: give a smaller picture",
                                   parts.width, parts.height, kMaxPictureSide));
  Image8 image = upright(file.format->decode(file.source, parts), file.orientation);
  return {std::move(image), std::move(file.parts.text), file.format->name};
}

PictureFile load_picture(const std::filesystem::path& path) {
  const std::string bytes = read_text_file(path, kMaxEncodedBytes);
  return read_picture(std::as_bytes(std::span(bytes)), path.string());
}

PictureText read_picture_text(std::span<const std::byte> bytes, std::string_view what) {
  return scan(bytes, what).parts.text;
}

}  // namespace tempera
