#include "base/error.h"
#include "image/png.h"
#include "tempera/tempera.h"

namespace tempera {
namespace {

RgbView view_of(const Image& image) {
  return {image.width, image.height, image.rgb};
}

PictureText text_of(const Image& image) {
  return {{"parameters", image.parameters}};
}

}  // namespace

void save_png(const std::filesystem::path& path, const Image& image, bool replace) {
  if (!replace && std::filesystem::exists(path))
    fail(ErrorCode::invalid_argument, "'{}' exists: give another name", path.string());
  write_png(path, view_of(image), text_of(image), replace ? IfExists::replace : IfExists::fail);
}

std::vector<std::byte> png_bytes(const Image& image) {
  return encode_png(view_of(image), text_of(image));
}

}  // namespace tempera
