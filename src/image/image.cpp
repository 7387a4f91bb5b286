#include "image/image.h"

#include <cmath>

#include "base/error.h"

namespace tempera {

void to_rgb8(std::span<const float> values, std::span<uint8_t> rgb) {
  TEMPERA_ASSERT(values.size() == rgb.size());
  for (size_t i = 0; i < values.size(); ++i) {
    const float x = values[i] * 0.5F + 0.5F;
    const float clamped = x > 0.0F ? (x < 1.0F ? x : 1.0F) : 0.0F;  // false for NaN
    rgb[i] = static_cast<uint8_t>(std::nearbyint(clamped * 255.0F));
  }
}

}  // namespace tempera
