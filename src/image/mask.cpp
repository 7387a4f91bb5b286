#include "image/mask.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "base/error.h"
#include "image/blur.h"
#include "image/resize_modes.h"

namespace tempera {
namespace {

// x / 255, rounded, for x from 0 to 255 * 255 (Pillow's DIV255).
uint32_t divide_by_255(uint32_t x) {
  x += 128;
  return ((x >> 8) + x) >> 8;
}

// The part of [0, size) that grows from [begin, end) by `more`, half of it on each side, and moves inside.
std::array<int, 2> grow(int begin, int end, int more, int size) {
  begin -= more / 2;
  end += more - more / 2;
  if (end > size) {
    begin -= end - size;
    end = size;
  }
  if (begin < 0) {
    end = std::min(end - begin, size);
    begin = 0;
  }
  return {begin, end};
}
}  // namespace

std::vector<uint8_t> to_grey(const Image8& image) {
  std::vector<uint8_t> grey(image.rgb.size() / 3);
  const uint8_t* rgb = image.rgb.data();
  for (size_t i = 0; i < grey.size(); ++i, rgb += 3)
    grey[i] = static_cast<uint8_t>((rgb[0] * 19595U + rgb[1] * 38470U + rgb[2] * 7471U + 0x8000U) >> 16);
  return grey;
}

Image8 outside_mask(int width, int height, std::array<int, 4> sides, const Image8* inside) {
  const auto [left, top, right, bottom] = sides;
  Image8 mask{left + width + right, top + height + bottom, {}};
  mask.rgb.assign(static_cast<size_t>(mask.width) * mask.height * 3, 255);
  const Image8 black{width, height, std::vector<uint8_t>(static_cast<size_t>(width) * height * 3)};
  put_picture(mask, inside == nullptr ? black : *inside, left, top);
  return mask;
}

std::optional<PixelBox> crop_region(std::span<const uint8_t> mask, int mask_width, int mask_height, int width,
                                    int height, int margin) {
  int left = mask_width, top = mask_height, right = 0, bottom = 0;
  for (int y = 0; y < mask_height; ++y) {
    for (int x = 0; x < mask_width; ++x) {
      if (mask[static_cast<size_t>(y) * mask_width + x] == 0) continue;
      left = std::min(left, x);
      right = std::max(right, x + 1);
      top = std::min(top, y);
      bottom = y + 1;
    }
  }
  if (right == 0) return std::nullopt;
  left = std::max(left - margin, 0);
  top = std::max(top - margin, 0);
  right = std::min(right + margin, mask_width);
  bottom = std::min(bottom + margin, mask_height);
  const double ratio = static_cast<double>(width) / height;
  if (static_cast<double>(right - left) / (bottom - top) > ratio) {
    const int more = static_cast<int>((right - left) / ratio - (bottom - top));
    const auto [begin, end] = grow(top, bottom, more, mask_height);
    return PixelBox{left, begin, right, end};
  }
  const int more = static_cast<int>((bottom - top) * ratio - (right - left));
  const auto [begin, end] = grow(left, right, more, mask_width);
  return PixelBox{begin, top, end, bottom};
}

// diffusers premultiplies the original by its alpha, 255 - mask, divides by it again, and composites. Both steps round.
void overlay(Image8& drawn, const Image8& original, std::span<const uint8_t> mask) {
  TEMPERA_ASSERT(drawn.width == original.width && drawn.height == original.height);
  TEMPERA_ASSERT(mask.size() * 3 == drawn.rgb.size());
  for (size_t i = 0; i < drawn.rgb.size(); ++i) {
    const uint32_t alpha = 255 - mask[i / 3];
    if (alpha == 0) continue;
    const uint32_t colour = std::min<uint32_t>(255 * divide_by_255(original.rgb[i] * alpha) / alpha, 255);
    drawn.rgb[i] = static_cast<uint8_t>(divide_by_255(colour * alpha + drawn.rgb[i] * (255 - alpha)));
  }
}

void fill_from_surroundings(Image8& image, std::span<const uint8_t> mask) {
  TEMPERA_ASSERT(mask.size() * 3 == image.rgb.size());
  constexpr std::array<float, 4> kRadii = {256, 64, 16, 4};
  const int64_t pixels = static_cast<int64_t>(mask.size());
  std::array<uint64_t, 4> sums{};          // of the weighted colours, and of the weights
  std::vector<uint8_t> known(pixels * 4);  // (H, W, 4): colours times weight, weight
  for (int64_t i = 0; i < pixels; ++i) {
    const uint32_t weight = 255 - mask[i];
    for (int c = 0; c < 3; ++c) known[i * 4 + c] = static_cast<uint8_t>(divide_by_255(image.rgb[i * 3 + c] * weight));
    known[i * 4 + 3] = static_cast<uint8_t>(weight);
    for (int c = 0; c < 4; ++c) sums[c] += known[i * 4 + c];
  }
  std::vector<float> filled(pixels * 3);
  for (int64_t i = 0; i < pixels * 3; ++i)
    filled[i] = sums[3] == 0 ? 127.5F : 255.0F * static_cast<float>(sums[i % 3]) / static_cast<float>(sums[3]);
  for (const float radius : kRadii) {
    std::vector<uint8_t> blurred = known;
    gaussian_blur(blurred, image.width, image.height, 4, radius);
    for (int64_t i = 0; i < pixels; ++i) {
      const float alpha = static_cast<float>(blurred[i * 4 + 3]) / 255.0F;
      if (alpha == 0) continue;
      const float share = 1 - (1 - alpha) * (1 - alpha);
      for (int c = 0; c < 3; ++c) {
        const float colour = std::min(static_cast<float>(blurred[i * 4 + c]) / alpha, 255.0F);
        filled[i * 3 + c] += share * (colour - filled[i * 3 + c]);
      }
    }
  }
  for (int64_t i = 0; i < pixels * 3; ++i) {
    const float weight = static_cast<float>(mask[i / 3]) / 255.0F;
    const float mixed = static_cast<float>(image.rgb[i]) + weight * (filled[i] - static_cast<float>(image.rgb[i]));
    image.rgb[i] = static_cast<uint8_t>(std::nearbyint(mixed));
  }
}

}  // namespace tempera
