#include "image/icc.h"

#include <lcms2.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <string>

#include "image/decoders.h"

namespace tempera {
namespace {

constexpr int kSrgbTolerance = 2;  // of 255. Small sRGB profiles approximate the curve
constexpr uint32_t kLevels = 256;

std::shared_ptr<void> open_profile(std::span<const std::byte> bytes) {
  if (bytes.empty()) return nullptr;
  cmsHPROFILE profile = cmsOpenProfileFromMem(bytes.data(), static_cast<cmsUInt32Number>(bytes.size()));
  if (profile == nullptr) return nullptr;
  return {profile, cmsCloseProfile};
}

// Null if the profile cannot be used for this type of samples.
std::shared_ptr<void> transform_of(cmsHPROFILE profile, cmsUInt32Number samples) {
  const std::shared_ptr<void> srgb(cmsCreate_sRGBProfile(), [](void* p) {
    if (p != nullptr) cmsCloseProfile(p);
  });
  if (srgb == nullptr) return nullptr;
  cmsHTRANSFORM transform = cmsCreateTransform(profile, samples, srgb.get(), TYPE_RGB_8, INTENT_PERCEPTUAL, 0);
  if (transform == nullptr) return nullptr;
  return {transform, cmsDeleteTransform};
}

// (256, 3): the greys.
std::vector<uint8_t> equal_values() {
  std::vector<uint8_t> rgb;
  for (uint32_t level = 0; level < kLevels; ++level) rgb.insert(rgb.end(), 3, static_cast<uint8_t>(level));
  return rgb;
}

// The greys, and a grid of 9 x 9 x 9 colours.
std::vector<uint8_t> test_colours() {
  std::vector<uint8_t> rgb = equal_values();
  constexpr int kSteps = 8;
  const auto level = [](int step) { return static_cast<uint8_t>((step * 255 + kSteps / 2) / kSteps); };
  for (int r = 0; r <= kSteps; ++r) {
    for (int g = 0; g <= kSteps; ++g) {
      for (int b = 0; b <= kSteps; ++b) rgb.insert(rgb.end(), {level(r), level(g), level(b)});
    }
  }
  return rgb;
}

bool nearly_equal(std::span<const uint8_t> a, std::span<const uint8_t> b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](int x, int y) { return std::abs(x - y) <= kSrgbTolerance; });
}

bool keeps_colours(cmsHTRANSFORM transform) {
  const std::vector<uint8_t> colours = test_colours();
  std::vector<uint8_t> converted(colours.size());
  cmsDoTransform(transform, colours.data(), converted.data(), static_cast<cmsUInt32Number>(colours.size() / 3));
  return nearly_equal(colours, converted);
}

std::vector<uint8_t> greys_through(cmsHPROFILE profile) {
  const std::vector<uint8_t> same = equal_values();
  std::vector<uint8_t> rgb(same.size());
  if (cmsGetColorSpace(profile) == cmsSigRgbData) {
    const std::shared_ptr<void> transform = transform_of(profile, TYPE_RGB_8);
    if (transform == nullptr) return same;
    cmsDoTransform(transform.get(), same.data(), rgb.data(), kLevels);
  } else {
    const std::shared_ptr<void> transform = transform_of(profile, TYPE_GRAY_8);
    if (transform == nullptr) return same;
    std::vector<uint8_t> levels(kLevels);
    for (uint32_t level = 0; level < kLevels; ++level) levels[level] = static_cast<uint8_t>(level);
    cmsDoTransform(transform.get(), levels.data(), rgb.data(), kLevels);
  }
  return nearly_equal(same, rgb) ? same : rgb;
}

// a b / 255, rounded. Exact for bytes.
int times(int a, int b) {
  const int product = a * b + 128;
  return ((product >> 8) + product) >> 8;
}

}  // namespace

ToSrgb::ToSrgb(std::span<const std::byte> bytes, Samples samples) : samples_(samples) {
  const std::shared_ptr<void> profile = open_profile(bytes);
  const cmsColorSpaceSignature space = profile != nullptr ? cmsGetColorSpace(profile.get()) : cmsColorSpaceSignature{};
  if (samples == Samples::grey) {
    const bool usable = space == cmsSigGrayData || space == cmsSigRgbData;
    rgb_of_grey_ = usable ? greys_through(profile.get()) : equal_values();
  } else if (samples == Samples::rgb && space == cmsSigRgbData) {
    transform_ = transform_of(profile.get(), TYPE_RGB_8);
    if (transform_ != nullptr && keeps_colours(transform_.get())) transform_ = nullptr;
  } else if (samples == Samples::ink_left && space == cmsSigCmykData) {
    transform_ = transform_of(profile.get(), TYPE_CMYK_8_REV);
  }
}

void ToSrgb::convert(std::span<const uint8_t> in, std::span<uint8_t> rgb) const {
  const size_t pixels = rgb.size() / 3;
  if (samples_ == Samples::grey) {
    for (size_t i = 0; i < pixels; ++i) std::memcpy(&rgb[i * 3], &rgb_of_grey_[size_t{in[i]} * 3], 3);
  } else if (transform_ != nullptr) {
    cmsDoTransform(transform_.get(), in.data(), rgb.data(), static_cast<cmsUInt32Number>(pixels));
  } else if (samples_ == Samples::ink_left) {
    for (size_t i = 0; i < pixels; ++i) {
      // Pillow's order of rounding: (255 - K) minus the rounded C (255 - K) / 255.
      const int white = in[i * 4 + 3];
      for (size_t c = 0; c < 3; ++c) rgb[i * 3 + c] = static_cast<uint8_t>(white - times(255 - in[i * 4 + c], white));
    }
  } else if (in.data() != rgb.data()) {
    std::copy(in.begin(), in.end(), rgb.begin());
  }
}

std::string lcms_library_version() {
  const int version = cmsGetEncodedCMMversion();  // 2140 is 2.14
  return std::to_string(version / 1000) + "." + std::to_string(version % 1000 / 10);
}

}  // namespace tempera
