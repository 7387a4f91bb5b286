// Any bytes are a picture or give Error(bad_file). A picture, written and read again, has the same pixels and texts.
#include <algorithm>
#include <cstdint>

#include "base/error.h"
#include "expect.h"
#include "image/png.h"

namespace {
using tempera::expect;

// Whether our writer accepts the keyword. libpng reads others too.
bool can_be_written(const std::string& keyword) {
  return std::all_of(keyword.begin(), keyword.end(), [](char c) { return c >= ' ' && c <= '~'; });
}
}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  tempera::PngFile file;
  try {
    file = tempera::read_png(std::as_bytes(std::span(data, size)), "fuzz");
  } catch (const tempera::Error& error) {
    expect(error.code() == tempera::ErrorCode::bad_file);
    return 0;
  }
  const auto& image = file.image;
  expect(image.width > 0 && image.height > 0 && image.width <= 8192 && image.height <= 8192);
  expect(image.rgb.size() == static_cast<size_t>(image.width) * image.height * 3);
  if (image.rgb.size() > 100'000) return 0;
  std::erase_if(file.text, [](const auto& entry) { return !can_be_written(entry.first); });
  const auto again = tempera::read_png(tempera::encode_png({image.width, image.height, image.rgb}, file.text), "again");
  expect(again.image.rgb == image.rgb && again.text == file.text);
  return 0;
}
