// Any bytes as a JPEG file (picture.h).
#include "picture.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  tempera::read_small_picture(std::as_bytes(std::span(data, size)), "JPEG", tempera::scan_jpeg);
  return 0;
}
