// Masks of inpainting: bytes (H, W). 255 is painted, 0 is kept. The functions give the values of diffusers'
// VaeImageProcessor, bit for bit.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "image/image.h"
#include "image/resample.h"

namespace tempera {

// The brightness of each pixel: (19595 R + 38470 G + 7471 B) / 65536, rounded (Pillow's convert("L"), ITU-R BT.601).
std::vector<uint8_t> to_grey(const Image8& image);

// A mask of width x height: white outside of the picture, black over it. `sides` are the pixels that are added on the
// left, at the top, on the right and at the bottom. `inside` replaces the black part, if it is given.
Image8 outside_mask(int width, int height, std::array<int, 4> sides, const Image8* inside = nullptr);

// The region that is drawn with padding_mask_crop (get_crop_region): the smallest box around all pixels that are not
// black, with a margin, then made larger to the shape of width x height, if the mask has enough space. Nothing if all
// pixels are black.
std::optional<PixelBox> crop_region(std::span<const uint8_t> mask, int mask_width, int mask_height, int width,
                                    int height, int margin);

// Puts `original` over `drawn` where the mask is not white (apply_overlay): pixels under black mask become those of
// `original`. Grey mixes the two. All have the same size.
void overlay(Image8& drawn, const Image8& original, std::span<const uint8_t> mask);

// Replaces the pixels under the mask by a blur of the others, like the masked content "fill" of AUTOMATIC1111's web UI.
// Pixels under black mask do not change. With the weight w = 1 - mask / 255 of a pixel and its colour c:
//   s = the mean of all c, weighted by w (127.5 without weights)
//   for the radii 256, 64, 16 and 4:  a = blur(w),  p = blur(w c),  A = 1 - (1 - a)^2,  s = (1 - A) s + A p / a
//   result = w c + (1 - w) s
// where blur is gaussian_blur of bytes.
void fill_from_surroundings(Image8& image, std::span<const uint8_t> mask);

}  // namespace tempera
