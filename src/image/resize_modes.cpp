#include "image/resize_modes.h"

#include <algorithm>
#include <cstdint>

#include "base/error.h"

namespace tempera {
namespace {

Image8 black(int width, int height) {
  return {width, height, std::vector<uint8_t>(static_cast<size_t>(width) * height * 3)};
}

// The size with the shape of `image` that is inside width x height (fill), or outside of it (crop). Fractions are cut
// off.
std::array<int, 2> size_of_same_shape(const Image8& image, int width, int height, ResizeMode mode) {
  const double ratio = static_cast<double>(width) / height;
  const double own_ratio = static_cast<double>(image.width) / image.height;
  const bool keeps_width = mode == ResizeMode::fill ? ratio < own_ratio : ratio > own_ratio;
  const bool keeps_height = mode == ResizeMode::fill ? ratio >= own_ratio : ratio <= own_ratio;
  const int64_t own_width = int64_t{image.width} * height / image.height;
  const int64_t own_height = int64_t{image.height} * width / image.width;
  return {keeps_width ? width : static_cast<int>(std::max<int64_t>(own_width, 1)),
          keeps_height ? height : static_cast<int>(std::max<int64_t>(own_height, 1))};
}

// The strips that fill leaves free. Each is resized from an empty box at the edge of the picture.
void fill_edges(Image8& result, const Image8& resized) {
  const int left = result.width / 2 - resized.width / 2, top = result.height / 2 - resized.height / 2;
  const auto strip = [&](int width, int height, PixelBox box, int x, int y) {
    put_picture(result, resample(resized, width, height, Resampling::bicubic, box), x, y);
  };
  const auto [width, height] = std::array{resized.width, resized.height};
  if (width == result.width && top > 0) {
    strip(width, top, {0, 0, width, 0}, 0, 0);
    strip(width, top, {0, height, width, height}, 0, top + height);
  } else if (height == result.height && left > 0) {
    strip(left, height, {0, 0, 0, height}, 0, 0);
    strip(left, height, {width, 0, width, height}, left + width, 0);
  }
}
}  // namespace

Image8 resize_picture(const Image8& image, int width, int height, ResizeMode mode) {
  if (mode == ResizeMode::stretch) return resample(image, width, height, Resampling::lanczos);
  const auto [own_width, own_height] = size_of_same_shape(image, width, height, mode);
  const Image8 resized = resample(image, own_width, own_height, Resampling::lanczos);
  Image8 result = black(width, height);
  put_picture(result, resized, width / 2 - own_width / 2, height / 2 - own_height / 2);
  if (mode == ResizeMode::fill) fill_edges(result, resized);
  return result;
}

Image8 crop_picture(const Image8& image, PixelBox box) {
  const auto [left, top, right, bottom] = box;
  TEMPERA_ASSERT(0 <= left && left < right && right <= image.width);
  TEMPERA_ASSERT(0 <= top && top < bottom && bottom <= image.height);
  Image8 result = black(right - left, bottom - top);
  put_picture(result, image, -left, -top);
  return result;
}

void put_picture(Image8& image, const Image8& part, int left, int top) {
  const int x = std::max(left, 0), y = std::max(top, 0);
  const int right = std::min(left + part.width, image.width), bottom = std::min(top + part.height, image.height);
  if (x >= right) return;
  for (int row = y; row < bottom; ++row) {
    const auto from = part.rgb.begin() + (static_cast<int64_t>(row - top) * part.width + (x - left)) * 3;
    std::copy(from, from + static_cast<int64_t>(right - x) * 3,
              image.rgb.begin() + (static_cast<int64_t>(row) * image.width + x) * 3);
  }
}

Image8 extend_picture(const Image8& image, std::array<int, 4> sides) {
  const auto [left, top, right, bottom] = sides;
  TEMPERA_ASSERT(left >= 0 && top >= 0 && right >= 0 && bottom >= 0);
  Image8 result = black(left + image.width + right, top + image.height + bottom);
  uint8_t* out = result.rgb.data();
  for (int y = 0; y < result.height; ++y) {
    const int64_t row = std::clamp(y - top, 0, image.height - 1);
    for (int x = 0; x < result.width; ++x, out += 3) {
      const int64_t column = std::clamp(x - left, 0, image.width - 1);
      std::copy_n(image.rgb.data() + (row * image.width + column) * 3, 3, out);
    }
  }
  return result;
}

}  // namespace tempera
