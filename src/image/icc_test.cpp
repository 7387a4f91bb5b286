// The pixels of real files with profiles are compared in picture_file_test.cpp.
#include "image/icc.h"

#include <gtest/gtest.h>
#include <lcms2.h>

#include <array>

#include "image/decoders.h"

namespace tempera {
namespace {
using Row = std::vector<uint8_t>;

// An RGB profile with these primaries (red, green, blue as x, y), white D65, and curve.
std::vector<std::byte> rgb_profile(const std::array<double, 6>& xy, cmsToneCurve* curve) {
  cmsCIExyY white;
  cmsWhitePointFromTemp(&white, 6504);
  const cmsCIExyYTRIPLE primaries{{xy[0], xy[1], 1}, {xy[2], xy[3], 1}, {xy[4], xy[5], 1}};
  cmsToneCurve* curves[3] = {curve, curve, curve};
  cmsHPROFILE profile = cmsCreateRGBProfile(&white, &primaries, curves);
  cmsUInt32Number size = 0;
  cmsSaveProfileToMem(profile, nullptr, &size);
  std::vector<std::byte> bytes(size);
  cmsSaveProfileToMem(profile, bytes.data(), &size);
  cmsCloseProfile(profile);
  cmsFreeToneCurve(curve);
  return bytes;
}

constexpr std::array kSrgb = {0.64, 0.33, 0.30, 0.60, 0.15, 0.06};
constexpr std::array kDisplayP3 = {0.68, 0.32, 0.265, 0.69, 0.15, 0.06};

cmsToneCurve* srgb_curve() {
  const cmsFloat64Number parameters[] = {2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045};
  return cmsBuildParametricToneCurve(nullptr, 4, parameters);
}

// The same curve as a table of 64 entries, as small profiles have it.
cmsToneCurve* srgb_table() {
  cmsToneCurve* exact = srgb_curve();
  std::array<cmsUInt16Number, 64> table;
  for (size_t i = 0; i < table.size(); ++i)
    table[i] = cmsEvalToneCurve16(exact, static_cast<cmsUInt16Number>(i * 65535 / (table.size() - 1)));
  cmsFreeToneCurve(exact);
  return cmsBuildTabulatedToneCurve16(nullptr, static_cast<cmsUInt32Number>(table.size()), table.data());
}

Row converted(Bytes profile, Samples samples, const Row& in, size_t pixels) {
  Row rgb(pixels * 3);
  ToSrgb(profile, samples).convert(in, rgb);
  return rgb;
}

TEST(ToSrgb, SrgbProfilesChangeNothing) {
  EXPECT_TRUE(ToSrgb({}, Samples::rgb).is_identity());
  EXPECT_TRUE(ToSrgb(rgb_profile(kSrgb, srgb_curve()), Samples::rgb).is_identity());
  EXPECT_TRUE(ToSrgb(rgb_profile(kSrgb, srgb_table()), Samples::rgb).is_identity());
  EXPECT_EQ(converted(rgb_profile(kSrgb, srgb_curve()), Samples::grey, {0, 100, 255}, 3),
            (Row{0, 0, 0, 100, 100, 100, 255, 255, 255}));
}

TEST(ToSrgb, OtherProfilesAreApplied) {
  EXPECT_FALSE(ToSrgb(rgb_profile(kSrgb, cmsBuildGamma(nullptr, 2.2)), Samples::rgb).is_identity());
  EXPECT_FALSE(ToSrgb(rgb_profile(kSrgb, cmsBuildGamma(nullptr, 1.8)), Samples::rgb).is_identity());
  const std::vector<std::byte> p3 = rgb_profile(kDisplayP3, srgb_curve());
  const Row rgb = converted(p3, Samples::rgb, {200, 100, 100, 128, 128, 128}, 2);
  // CSS Color 4: color(display-p3 0.784 0.392 0.392) is rgb(215 93 97) in sRGB. Greys stay.
  EXPECT_NEAR(rgb[0], 215, 1);
  EXPECT_NEAR(rgb[1], 93, 1);
  EXPECT_NEAR(rgb[2], 97, 1);
  EXPECT_NEAR(rgb[4], 128, 1);
  // A grey picture with an RGB profile: the curve counts.
  EXPECT_GT(converted(rgb_profile(kSrgb, cmsBuildGamma(nullptr, 1.0)), Samples::grey, {100}, 1)[0], 150);
}

TEST(ToSrgb, UnusableProfilesAreIgnored) {
  const std::vector<std::byte> p3 = rgb_profile(kDisplayP3, srgb_curve());
  for (const size_t size : {size_t{0}, size_t{1}, size_t{128}, p3.size() / 2}) {
    const Bytes part = Bytes(p3).first(size);
    EXPECT_TRUE(ToSrgb(part, Samples::rgb).is_identity()) << size;
    EXPECT_EQ(converted(part, Samples::grey, {7}, 1), (Row{7, 7, 7})) << size;
  }
  // A profile of RGB does not say what inks look like.
  EXPECT_EQ(converted(p3, Samples::ink_left, {255, 255, 255, 255}, 1), (Row{255, 255, 255}));
}

TEST(ToSrgb, InksWithoutProfile) {
  // (255 - C)(255 - K) / 255, and the bytes are 255 - C and 255 - K. Rounded as in Pillow.
  for (int ink = 0; ink < 256; ++ink) {
    for (int black = 0; black < 256; ++black) {
      const Row rgb = converted({}, Samples::ink_left,
                                {static_cast<uint8_t>(255 - ink), 255, 0, static_cast<uint8_t>(255 - black)}, 1);
      ASSERT_NEAR(rgb[0], (255 - ink) * (255 - black) / 255.0, 0.5) << ink << ' ' << black;
      ASSERT_EQ(rgb[1], 255 - black);
      ASSERT_EQ(rgb[2], 0);
    }
  }
}

}  // namespace
}  // namespace tempera
