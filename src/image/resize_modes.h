// The resize modes of diffusers' VaeImageProcessor, and parts of pictures. The values are those of Pillow, bit for bit.
#pragma once

#include <array>

#include "image/image.h"
#include "image/resample.h"

namespace tempera {

// stretch is diffusers' "default". The other two keep the shape of the picture, and put it in the middle:
// crop: it fills the size, and the rest is cut off;
// fill: it is inside the size, and its edges continue to the borders (bicubic extrapolation of the last two rows or
// columns, as in diffusers).
enum class ResizeMode { stretch, crop, fill };

// The picture at width x height, with Lanczos. A side that fill would make smaller than 1 pixel has 1 pixel; diffusers
// then stops with an error.
Image8 resize_picture(const Image8& image, int width, int height, ResizeMode mode);

// `box` is inside the picture and not empty.
Image8 crop_picture(const Image8& image, PixelBox box);

// Copies `part` into `image`. left and top may be negative. Pixels outside are cut off.
void put_picture(Image8& image, const Image8& part, int left, int top);

// The picture with pixels added on the left, at the top, on the right and at the bottom; they repeat its edges.
Image8 extend_picture(const Image8& image, std::array<int, 4> sides);

}  // namespace tempera
