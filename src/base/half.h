// IEEE half, bfloat16 and floats of 8 bits as storage types, and their conversions (round to nearest, ties to even).
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>

#include "base/dtype.h"

namespace tempera {

struct f16 {
  uint16_t bits = 0;
};
struct bf16 {
  uint16_t bits = 0;
};

// Whether convert() supports numbers of that type: all but signed integers of 8 bits, int16 and bool.
bool can_convert(DType from);

inline float to_float(float x) {
  return x;
}

inline float to_float(bf16 x) {
  return std::bit_cast<float>(static_cast<uint32_t>(x.bits) << 16);
}

inline float to_float(f16 x) {
  const uint32_t sign = static_cast<uint32_t>(x.bits & 0x8000u) << 16;
  const uint32_t rest = static_cast<uint32_t>(x.bits & 0x7fffu) << 13;
  if (rest >= 0x0f800000u) return std::bit_cast<float>(sign | 0x7f800000u | (rest & 0x007fffffu));  // inf, nan
  // Scaling by 2^112 moves the exponent bias from 15 to 127 and normalises subnormals on the way.
  return std::bit_cast<float>(sign | std::bit_cast<uint32_t>(std::bit_cast<float>(rest) * 0x1p112f));
}

inline bf16 to_bf16(float x) {
  uint32_t u = std::bit_cast<uint32_t>(x);
  if ((u & 0x7fffffffu) > 0x7f800000u) return {static_cast<uint16_t>((u >> 16) | 0x40u)};  // keep nan a nan
  return {static_cast<uint16_t>((u + 0x7fffu + ((u >> 16) & 1u)) >> 16)};
}

inline f16 to_f16(float x) {
  const uint32_t u = std::bit_cast<uint32_t>(x);
  const uint16_t sign = static_cast<uint16_t>((u >> 16) & 0x8000u);
  const uint32_t magnitude = u & 0x7fffffffu;
  if (magnitude > 0x7f800000u) return {static_cast<uint16_t>(sign | 0x7e00u)};
  if (magnitude >= 0x477ff000u) return {static_cast<uint16_t>(sign | 0x7c00u)};  // >= 65520 rounds to infinity
  if (magnitude < 0x38800000u) {  // below 2^-14: subnormal, the addition of 0.5 lets the FPU round at the right bit
    const float rounded = std::bit_cast<float>(magnitude) + 0.5f;
    return {static_cast<uint16_t>(sign | (std::bit_cast<uint32_t>(rounded) - 0x3f000000u))};
  }
  const uint32_t odd = (magnitude >> 13) & 1u;
  return {static_cast<uint16_t>(sign | ((magnitude - 0x38000000u + 0xfffu + odd) >> 13))};
}

// The bits of an E4M3 number without infinities ("FP8 Formats for Deep Learning", Micikevicius et al., 2022), as
// PyTorch's float8_e4m3fn: magnitudes above 464, which is half-way between 448 and the next number that there would be,
// become NaN.
inline uint8_t to_f8_e4m3(float x) {
  const uint32_t u = std::bit_cast<uint32_t>(x), magnitude = u & 0x7fffffffu;
  const auto sign = static_cast<uint8_t>(u >> 24 & 0x80u);
  if (magnitude > 0x43e80000u) return sign | 0x7fu;  // also infinities and NaN
  if (magnitude < 0x3c800000u) {                     // below 2^-6: subnormal; the sum rounds at the bit of 2^-9
    const float rounded = std::bit_cast<float>(magnitude) + 0x1p14f;
    return static_cast<uint8_t>(sign | (std::bit_cast<uint32_t>(rounded) - 0x46800000u));
  }
  const uint32_t odd = (magnitude >> 20) & 1u;
  return static_cast<uint8_t>(sign | ((magnitude - 0x3c000000u + 0x7ffffu + odd) >> 20));
}

template <class T>
T from_float(float x);
template <>
inline float from_float<float>(float x) {
  return x;
}
template <>
inline bf16 from_float<bf16>(float x) {
  return to_bf16(x);
}
template <>
inline f16 from_float<f16>(float x) {
  return to_f16(x);
}

template <class T>
constexpr DType dtype_of();
template <>
constexpr DType dtype_of<float>() {
  return DType::f32;
}
template <>
constexpr DType dtype_of<f16>() {
  return DType::f16;
}
template <>
constexpr DType dtype_of<bf16>() {
  return DType::bf16;
}

// Converts n elements between any two of f32, f16, bf16, f8_e4m3 (f64, f8_e5m2, i32, i64, u8 only as source). Throws
// Error(internal) for other pairs. Uses the machine's vector conversions where there are any; single threaded.
void convert(const void* source, DType source_type, void* destination, DType destination_type, size_t n);

}  // namespace tempera
