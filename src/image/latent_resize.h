// Resizing of latents, for a second pass at a larger size. The values are those of torch.nn.functional.interpolate.
#pragma once

#include <span>
#include <vector>

namespace tempera {

// PyTorch's modes, with align_corners=False. bicubic: a = -0.75, and the edge values are repeated.
enum class LatentUpscaler { nearest, bilinear, bicubic };

// `values`: (height, width, channels). The result is (new_height, new_width, channels). All sizes are at least 1. A
// position in the output times height / new_height is a position in the input. PyTorch computes the same if `size` is
// given, or `scale_factor` where height x scale_factor is a whole number.
std::vector<float> resize_latents(std::span<const float> values, int height, int width, int channels, int new_height,
                                  int new_width, LatentUpscaler mode);

}  // namespace tempera
