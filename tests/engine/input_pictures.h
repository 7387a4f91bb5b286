// Pictures for tests of requests that start from pictures.
#pragma once

#include <cmath>
#include <cstdint>

#include "tempera/tempera.h"

namespace tempera::test {

// Coloured waves of this length in pixels.
inline Image waves(int width, int height, int length) {
  Image image;
  image.width = width;
  image.height = height;
  const auto byte = [](double value) { return static_cast<uint8_t>(std::lround(127 + 120 * value)); };
  for (int y = 0; y < height; ++y)
    for (int x = 0; x < width; ++x)
      for (const double phase : {0.0, 1.0, 2.0})
        image.rgb.push_back(byte(std::sin(static_cast<double>(x + 2 * y) / length + phase)));
  return image;
}

// White in the middle with a grey border, else black.
inline Image disc(int width, int height) {
  Image image;
  image.width = width;
  image.height = height;
  for (int y = 0; y < height; ++y)
    for (int x = 0; x < width; ++x) {
      const double distance = std::hypot(x - width / 2.0, y - height / 2.0) - std::min(width, height) / 4.0;
      const auto grey = static_cast<uint8_t>(std::lround(std::min(255.0, std::max(0.0, 127 - 20 * distance))));
      image.rgb.insert(image.rgb.end(), 3, grey);
    }
  return image;
}

}  // namespace tempera::test
