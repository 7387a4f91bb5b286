#include "base/half.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <numeric>
#include <vector>

namespace tempera {
namespace {

TEST(Half, RoundTripsEveryBitPattern) {
  for (uint32_t bits = 0; bits < 0x10000; ++bits) {
    const f16 h{static_cast<uint16_t>(bits)};
    const bf16 b{static_cast<uint16_t>(bits)};
    if (!std::isnan(to_float(h))) {
      EXPECT_EQ(to_f16(to_float(h)).bits, bits);
    }
    if (!std::isnan(to_float(b))) {
      EXPECT_EQ(to_bf16(to_float(b)).bits, bits);
    }
  }
}

TEST(Half, RoundsToNearestEven) {
  EXPECT_EQ(to_float(to_f16(1 + 0x1p-11f)), 1.0f);                  // half way: to even
  EXPECT_EQ(to_float(to_f16(1 + 3 * 0x1p-11f)), 1 + 2 * 0x1p-10f);  // half way: to even
  EXPECT_EQ(to_float(to_bf16(1 + 0x1p-8f)), 1.0f);
  EXPECT_EQ(to_float(to_f16(65519.0f)), 65504.0f);
  EXPECT_TRUE(std::isinf(to_float(to_f16(65520.0f))));
  EXPECT_TRUE(std::isnan(to_float(to_f16(std::numeric_limits<float>::quiet_NaN()))));
  EXPECT_TRUE(std::isnan(to_float(to_bf16(std::numeric_limits<float>::quiet_NaN()))));
}

// Sign, exponent and fraction by the definition of "FP8 Formats for Deep Learning" (Micikevicius et al., 2022).
float fp8(int bits, int exponent_bits, int bias) {
  const int fraction_bits = 7 - exponent_bits;
  const int exponent = bits >> fraction_bits & ((1 << exponent_bits) - 1), fraction = bits & ((1 << fraction_bits) - 1);
  const float sign = (bits & 0x80) != 0 ? -1 : 1;
  const float one = std::exp2(static_cast<float>(-fraction_bits));
  if (exponent == 0) return sign * std::exp2(static_cast<float>(1 - bias)) * static_cast<float>(fraction) * one;
  return sign * std::exp2(static_cast<float>(exponent - bias)) * (1 + static_cast<float>(fraction) * one);
}

TEST(Convert, ReadsFloatsOfEightBits) {
  std::vector<uint8_t> bits(256);
  std::iota(bits.begin(), bits.end(), uint8_t{0});
  for (const DType type : {DType::f8_e4m3, DType::f8_e5m2}) {
    EXPECT_TRUE(can_convert(type));
    std::vector<float> values(256);
    std::vector<bf16> brains(256);
    std::vector<f16> halves(256);
    convert(bits.data(), type, values.data(), DType::f32, 256);
    convert(bits.data(), type, brains.data(), DType::bf16, 256);
    convert(bits.data(), type, halves.data(), DType::f16, 256);
    for (int i = 0; i < 256; ++i) {
      const bool e4m3 = type == DType::f8_e4m3;
      const float expected = e4m3 ? fp8(i, 4, 7) : fp8(i, 5, 15);
      const int rest = i & 0x7f;
      if (e4m3 ? rest == 0x7f : rest > 0x7c) {
        EXPECT_TRUE(std::isnan(values[i]) && std::isnan(to_float(brains[i])) && std::isnan(to_float(halves[i]))) << i;
      } else if (!e4m3 && rest == 0x7c) {
        EXPECT_EQ(values[i], (i & 0x80) != 0 ? -INFINITY : INFINITY);
      } else {
        EXPECT_EQ(values[i], expected) << i;
        EXPECT_EQ(to_float(brains[i]), expected) << i;
        EXPECT_EQ(to_float(halves[i]), expected) << i;
      }
    }
  }
}

// Against the nearest of all numbers of the format; of two, the one with an even fraction.
TEST(Convert, WritesFloatsOfEightBits) {
  std::vector<float> values = {0, -0.0f, 0x1p-10f, 0x1.000002p-10f, 0x3p-10f, 0x1p-6f, 448, 464, -464, 1e-30f};
  for (int i = 0; i < 100000; ++i)
    values.push_back(std::sin(static_cast<float>(i)) * std::exp2(static_cast<float>(i % 20 - 11)));
  for (int bits = 0; bits < 0x7e; ++bits) values.push_back((fp8(bits, 4, 7) + fp8(bits + 1, 4, 7)) / 2);
  std::vector<uint8_t> written(values.size());
  convert(values.data(), DType::f32, written.data(), DType::f8_e4m3, values.size());
  for (size_t i = 0; i < values.size(); ++i) {
    int nearest = 0;
    const float x = std::abs(values[i]);
    for (int bits = 1; bits < 0x7f; ++bits) {
      const float better = std::abs(fp8(nearest, 4, 7) - x) - std::abs(fp8(bits, 4, 7) - x);  // exact
      if (better > 0 || (better == 0 && bits % 2 == 0)) nearest = bits;
    }
    ASSERT_EQ(written[i], nearest | (std::signbit(values[i]) ? 0x80 : 0)) << values[i];
  }
}

// PyTorch's rule: no saturation.
TEST(Convert, NumbersThatEightBitsDoNotHaveBecomeNan) {
  const std::vector<float> values = {std::nextafter(464.0f, 500.0f),         -480, 1e30f, INFINITY, -INFINITY,
                                     std::numeric_limits<float>::quiet_NaN()};
  std::vector<uint8_t> written(values.size());
  convert(values.data(), DType::f32, written.data(), DType::f8_e4m3, values.size());
  for (size_t i = 0; i < values.size(); ++i) EXPECT_EQ(written[i] & 0x7f, 0x7f) << values[i];
}

// The vector loops and the scalar ones agree, at any length and alignment of the source.
TEST(Convert, AgreesWithTheScalarFunctions) {
  std::vector<float> values;
  values.reserve(1003);
  for (int i = 0; i < 1003; ++i)
    values.push_back(std::sin(static_cast<float>(i)) * std::exp2(static_cast<float>(i % 40 - 20)));
  std::vector<f16> halves(values.size());
  std::vector<bf16> brains(values.size()), through(values.size());
  convert(values.data(), DType::f32, halves.data(), DType::f16, values.size());
  convert(values.data(), DType::f32, brains.data(), DType::bf16, values.size());
  convert(halves.data(), DType::f16, through.data(), DType::bf16, values.size());
  for (size_t i = 0; i < values.size(); ++i) {
    EXPECT_EQ(halves[i].bits, to_f16(values[i]).bits);
    EXPECT_EQ(brains[i].bits, to_bf16(values[i]).bits);
    EXPECT_EQ(through[i].bits, to_bf16(to_float(to_f16(values[i]))).bits);
  }
  std::vector<std::byte> shifted(values.size() * 2 + 1);
  std::copy_n(reinterpret_cast<const std::byte*>(halves.data()), values.size() * 2, shifted.begin() + 1);
  std::vector<float> back(values.size());
  convert(shifted.data() + 1, DType::f16, back.data(), DType::f32, values.size());
  for (size_t i = 0; i < values.size(); ++i) EXPECT_EQ(back[i], to_float(halves[i]));
}

}  // namespace
}  // namespace tempera
