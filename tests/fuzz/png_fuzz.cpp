// Any bytes as a PNG file (picture.h), with the checksums of the input and with right ones. A picture, written and read
// again, has the same pixels and texts.
#include "image/png.h"

#include <zlib.h>

#include "picture.h"

namespace {
using tempera::expect;

// Whether our writer accepts the keyword. The reader accepts others too.
bool can_be_written(const std::string& keyword) {
  return std::all_of(keyword.begin(), keyword.end(), [](char c) { return c >= ' ' && c <= '~'; });
}

// Mutations of a chunk almost never give its checksum, so the parsers of texts and profiles would not be reached.
std::vector<std::byte> with_checksums(std::span<const std::byte> bytes) {
  std::vector<std::byte> file(bytes.begin(), bytes.end());
  const auto u32 = [&](size_t at) {
    uint32_t value = 0;
    for (size_t i = 0; i < 4; ++i) value = value << 8 | std::to_integer<uint32_t>(file[at + i]);
    return value;
  };
  for (size_t at = 8; at + 12 <= file.size() && u32(at) <= file.size() - at - 12; at += u32(at) + 12) {
    const size_t end = at + 8 + u32(at);
    const uLong sum = crc32(0, reinterpret_cast<const Bytef*>(&file[at + 4]), static_cast<uInt>(end - at - 4));
    for (size_t i = 0; i < 4; ++i) file[end + i] = static_cast<std::byte>(sum >> (24 - 8 * i));
  }
  return file;
}

void check(std::span<const std::byte> bytes) {
  std::optional<tempera::PictureFile> file = tempera::read_small_picture(bytes, "PNG", tempera::scan_png);
  if (!file) return;
  const auto& image = file->image;
  std::erase_if(file->text, [](const auto& entry) { return !can_be_written(entry.first); });
  // Texts that say how the picture is turned would turn it again. Texts of EXIF data become texts of the file.
  std::erase_if(file->text, [](const auto& entry) {
    return entry.first == "XML:com.adobe.xmp" || entry.first == "Raw profile type exif";
  });
  const auto encoded = tempera::encode_png({image.width, image.height, image.rgb}, file->text);
  const auto again = tempera::read_picture(encoded, "again");
  expect(again.image.rgb == image.rgb && again.text == file->text);
}
}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto bytes = std::as_bytes(std::span(data, size));
  check(bytes);
  check(with_checksums(bytes));
  return 0;
}
