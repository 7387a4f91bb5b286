// Gaussian blur of pictures of bytes, with the values of Pillow's ImageFilter.GaussianBlur, bit for bit: three box
// blurs along the rows, then three along the columns. The time does not depend on the radius.
#pragma once

#include <cstdint>
#include <span>

namespace tempera {

// Bytes (H, W, C), changed in place. `radius` is the standard deviation in pixels, at least 0; 0 changes nothing. The
// edge pixels are repeated outside of the picture.
void gaussian_blur(std::span<uint8_t> bytes, int width, int height, int channels, float radius);

}  // namespace tempera
