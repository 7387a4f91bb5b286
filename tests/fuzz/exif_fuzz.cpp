// Any bytes as EXIF data: no error, and texts that are valid UTF-8.
#include <cstdint>

#include "base/utf8.h"
#include "expect.h"
#include "image/exif.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const tempera::Exif exif = tempera::parse_exif(std::as_bytes(std::span(data, size)));
  for (const auto& [key, value] : exif.text) tempera::expect(!value.empty() && tempera::valid_utf8(value) == value);
  return 0;
}
