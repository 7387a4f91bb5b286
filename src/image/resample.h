// Resizing of pictures of bytes. The values are those of Pillow's Image.resize, bit for bit: first all rows, then all
// columns, with weights in fixed point. Above 1 pixel of input for 1 of output, the filters become wider, so a smaller
// picture has no aliasing.
//
// One difference: recent versions of Pillow resize the columns first if a picture is more than 100 times as high as
// wide.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "image/image.h"

namespace tempera {

enum class Resampling { nearest, bilinear, bicubic, lanczos };

// Left, top, right, bottom, in pixels. The pixels at right and bottom are outside.
using PixelBox = std::array<int, 4>;

// Bytes (H, W, C), C is 1 or 3. The size of the result is new_width x new_height, both at least 1. `box` is the part
// that is resized, inside the picture; if absent: all of it. The result of an empty box (its sides are equal) repeats
// the filter's value at that place.
std::vector<uint8_t> resample(std::span<const uint8_t> bytes, int width, int height, int channels, int new_width,
                              int new_height, Resampling filter, std::optional<PixelBox> box = {});
Image8 resample(const Image8& image, int new_width, int new_height, Resampling filter,
                std::optional<PixelBox> box = {});

}  // namespace tempera
