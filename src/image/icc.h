// Samples of a picture as sRGB, through its ICC profile if it has one. The conversion is LittleCMS's, with the
// perceptual intent: the same as Pillow's ImageCms.profileToProfile(image, profile, createProfile("sRGB")).
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

namespace tempera {

enum class Samples {
  grey,      // one byte
  rgb,       // three
  ink_left,  // four, CMYK as Adobe's JPEG files store it: 255 is no ink
};

class ToSrgb {
 public:
  // A profile is ignored in three cases:
  // 1. It is sRGB: none of 1,000 colours changes by more than 2 of 255. So the picture keeps its exact values.
  // 2. It cannot be read. Viewers show such pictures as if they were sRGB.
  // 3. It is for other samples than those of the picture (a grey picture can have an RGB profile).
  // Without a profile, grey becomes three equal values, and CMYK becomes R = (255 - C)(255 - K) / 255, as in Pillow.
  ToSrgb(std::span<const std::byte> profile, Samples samples);

  // Whether rgb samples stay as they are.
  bool is_identity() const { return transform_ == nullptr; }

  // `in` has the samples of any number of pixels, `rgb` three bytes for each of them. Does not throw. `in` and `rgb`
  // can be the same memory if the samples are rgb.
  void convert(std::span<const uint8_t> in, std::span<uint8_t> rgb) const;

 private:
  Samples samples_;
  std::shared_ptr<void> transform_;   // rgb and ink_left; null if there is no profile to apply
  std::vector<uint8_t> rgb_of_grey_;  // three bytes for each of the 256 greys
};

}  // namespace tempera
