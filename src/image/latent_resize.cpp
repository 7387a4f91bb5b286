#include "image/latent_resize.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>

#include "base/error.h"

namespace tempera {
namespace {

// A value of the output along one axis: a sum over four values of the input. Unused ones have the weight 0.
struct Sum {
  std::array<int, 4> from{};
  std::array<float, 4> weights{};
};

// PyTorch's cubic convolution (Keys), distances |x| <= 1 and 1 < |x| < 2.
constexpr float kA = -0.75F;
float near_weight(float x) {
  return ((kA + 2) * x - (kA + 3)) * x * x + 1;
}
float far_weight(float x) {
  return ((kA * x - 5 * kA) * x + 8 * kA) * x - 4 * kA;
}

// The sums for one axis. PyTorch computes positions in float32, so this function does the same.
std::vector<Sum> make_sums(int size, int new_size, LatentUpscaler mode) {
  const float scale = static_cast<float>(size) / static_cast<float>(new_size);
  const auto inside = [size](int i) { return std::clamp(i, 0, size - 1); };
  std::vector<Sum> sums(new_size);
  for (int i = 0; i < new_size; ++i) {
    const float at = scale * (static_cast<float>(i) + 0.5F) - 0.5F;
    const int first = static_cast<int>(std::floor(at));
    const float t = at - static_cast<float>(first);
    if (mode == LatentUpscaler::nearest) {
      sums[i] = {{inside(static_cast<int>(static_cast<float>(i) * scale))}, {1}};
    } else if (mode == LatentUpscaler::bilinear) {
      sums[i] = {{inside(first), inside(first + 1)}, {1 - t, t}};
    } else {
      sums[i] = {{inside(first - 1), inside(first), inside(first + 1), inside(first + 2)},
                 {far_weight(t + 1), near_weight(t), near_weight(1 - t), far_weight(2 - t)}};
    }
  }
  return sums;
}
}  // namespace

std::vector<float> resize_latents(std::span<const float> values, int height, int width, int channels, int new_height,
                                  int new_width, LatentUpscaler mode) {
  TEMPERA_ASSERT(height > 0 && width > 0 && new_height > 0 && new_width > 0);
  TEMPERA_ASSERT(values.size() == static_cast<size_t>(height) * width * channels);
  const std::vector<Sum> rows = make_sums(height, new_height, mode), columns = make_sums(width, new_width, mode);
  std::vector<float> result;
  result.reserve(static_cast<size_t>(new_height) * new_width * channels);
  for (const Sum& row : rows) {
    for (const Sum& column : columns) {
      for (int c = 0; c < channels; ++c) {
        float sum = 0;
        for (int j = 0; j < 4; ++j) {
          float along_row = 0;
          for (int i = 0; i < 4; ++i) {
            const int64_t pixel = static_cast<int64_t>(row.from[j]) * width + column.from[i];
            along_row += column.weights[i] * values[pixel * channels + c];
          }
          sum += row.weights[j] * along_row;
        }
        result.push_back(sum);
      }
    }
  }
  return result;
}

}  // namespace tempera
