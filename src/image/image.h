// Pictures as bytes, and the conversion of the decoder's numbers to bytes.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace tempera {

struct Image8 {
  int width = 0, height = 0;
  std::vector<uint8_t> rgb;  // (H, W, 3)
};

// Each of `values`, -1 (black) to 1 (white), as a byte: x/2 + 1/2, clamped to [0, 1], times 255, rounded half to even
// (diffusers VaeImageProcessor.postprocess, in f32). NaN gives 0. Both spans have the same length, in any shape, so a
// batch (N, H, W, 3) can be converted at once.
void to_rgb8(std::span<const float> values, std::span<uint8_t> rgb);

}  // namespace tempera
