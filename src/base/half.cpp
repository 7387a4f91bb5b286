// Conversions written as plain loops with per-function targets. The compiler turns each into the machine's own
// instructions (F16C, AVX2), and a resolver selects one at run time. So one binary runs on every x86-64.
#include "base/half.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <limits>

#include "base/error.h"

#if defined(__x86_64__)
#include <cpuid.h>
#include <immintrin.h>
#endif

namespace tempera {
namespace {

// Tensors of a file can have any address.
template <class T>
T load(const T* from) {
  T value;
  std::memcpy(&value, from, sizeof value);
  return value;
}

template <class From, class To>
void loop(const From* from, To* to, size_t n) {
  for (size_t i = 0; i < n; ++i) to[i] = from_float<To>(static_cast<float>(to_float(load(from + i))));
}

template <class From, class To>
void cast_loop(const From* from, To* to, size_t n) {
  for (size_t i = 0; i < n; ++i) to[i] = from_float<To>(static_cast<float>(load(from + i)));
}

// The floats of 8 bits of "FP8 Formats for Deep Learning" (Micikevicius et al., 2022). E5M2 is the upper byte of a
// half. E4M3 has four bits of exponent with a bias of 7, no infinities, and one NaN for each sign: exponent and
// fraction are placed as those of a half, whose bias is larger by 8.
float f8_e5m2_to_float(uint8_t bits) {
  return to_float(f16{static_cast<uint16_t>(bits << 8)});
}
float f8_e4m3_to_float(uint8_t bits) {
  if ((bits & 0x7f) == 0x7f) return std::numeric_limits<float>::quiet_NaN();
  return to_float(f16{static_cast<uint16_t>((bits & 0x80) << 8 | (bits & 0x7f) << 7)}) * 0x1p8f;
}

template <class To>
std::array<To, 256> table_of(float (*value)(uint8_t bits)) {
  std::array<To, 256> table;
  for (size_t i = 0; i < table.size(); ++i) table[i] = from_float<To>(value(static_cast<uint8_t>(i)));
  return table;
}

template <class To>
void f8_loop(DType type, const uint8_t* from, To* to, size_t n) {
  static const std::array<To, 256> e4m3 = table_of<To>(f8_e4m3_to_float), e5m2 = table_of<To>(f8_e5m2_to_float);
  const std::array<To, 256>& table = type == DType::f8_e4m3 ? e4m3 : e5m2;
  for (size_t i = 0; i < n; ++i) to[i] = table[from[i]];
}

#if defined(__x86_64__)
bool has_f16c() {
  // Clang 14 has no __builtin_cpu_supports("f16c"). CPUID leaf 1, ECX bit 29 is the same.
  static const bool has = [] {
    unsigned a = 0, b = 0, c = 0, d = 0;
    return __builtin_cpu_supports("avx2") != 0 && __get_cpuid(1, &a, &b, &c, &d) != 0 && (c >> 29 & 1u) != 0;
  }();
  return has;
}

__attribute__((target("avx2,f16c"))) void f16_to_f32(const f16* from, float* to, size_t n) {
  size_t i = 0;
  for (; i + 8 <= n; i += 8)
    _mm256_storeu_ps(to + i, _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(from + i))));
  loop(from + i, to + i, n - i);
}

__attribute__((target("avx2,f16c"))) void f32_to_f16(const float* from, f16* to, size_t n) {
  size_t i = 0;
  for (; i + 8 <= n; i += 8)
    _mm_storeu_si128(reinterpret_cast<__m128i*>(to + i), _mm256_cvtps_ph(_mm256_loadu_ps(from + i), 0));
  loop(from + i, to + i, n - i);
}

// Rounds eight floats to bf16 in the low halves of the lanes; quiet NaNs stay NaNs.
__attribute__((target("avx2"))) inline __m256i round_bf16(__m256 x) {
  const __m256i u = _mm256_castps_si256(x);
  const __m256i odd = _mm256_and_si256(_mm256_srli_epi32(u, 16), _mm256_set1_epi32(1));
  const __m256i rounded = _mm256_srli_epi32(_mm256_add_epi32(u, _mm256_add_epi32(odd, _mm256_set1_epi32(0x7fff))), 16);
  const __m256i nan = _mm256_or_si256(_mm256_srli_epi32(u, 16), _mm256_set1_epi32(0x40));
  return _mm256_blendv_epi8(rounded, nan, _mm256_castps_si256(_mm256_cmp_ps(x, x, _CMP_UNORD_Q)));
}

__attribute__((target("avx2"))) inline void store_bf16(bf16* to, __m256 low, __m256 high) {
  const __m256i packed = _mm256_packus_epi32(round_bf16(low), round_bf16(high));
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), _mm256_permute4x64_epi64(packed, 0xd8));
}

__attribute__((target("avx2"))) void f32_to_bf16(const float* from, bf16* to, size_t n) {
  size_t i = 0;
  for (; i + 16 <= n; i += 16) store_bf16(to + i, _mm256_loadu_ps(from + i), _mm256_loadu_ps(from + i + 8));
  loop(from + i, to + i, n - i);
}

__attribute__((target("avx2,f16c"))) void f16_to_bf16(const f16* from, bf16* to, size_t n) {
  size_t i = 0;
  for (; i + 16 <= n; i += 16)
    store_bf16(to + i, _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(from + i))),
               _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(from + i + 8))));
  loop(from + i, to + i, n - i);
}
#endif

template <class To>
void convert_to(const void* source, DType type, To* to, size_t n) {
  switch (type) {
    case DType::f32:
      return loop(static_cast<const float*>(source), to, n);
    case DType::f16:
      return loop(static_cast<const f16*>(source), to, n);
    case DType::bf16:
      return loop(static_cast<const bf16*>(source), to, n);
    case DType::f64:
      return cast_loop(static_cast<const double*>(source), to, n);
    case DType::i32:
      return cast_loop(static_cast<const int32_t*>(source), to, n);
    case DType::i64:
      return cast_loop(static_cast<const int64_t*>(source), to, n);
    case DType::u8:
      return cast_loop(static_cast<const uint8_t*>(source), to, n);
    case DType::f8_e4m3:
    case DType::f8_e5m2:
      return f8_loop(type, static_cast<const uint8_t*>(source), to, n);
    default:
      fail(ErrorCode::internal, "internal error: no conversion from {}", name(type));
  }
}

// Through floats, a block at a time.
void convert_to_f8_e4m3(const void* source, DType type, uint8_t* to, size_t n) {
  const auto* from = static_cast<const std::byte*>(source);
  std::array<float, 256> values;
  for (size_t at = 0; at < n; at += values.size()) {
    const size_t some = std::min(values.size(), n - at);
    convert(from + at * size_of(type), type, values.data(), DType::f32, some);
    std::transform(values.begin(), values.begin() + static_cast<std::ptrdiff_t>(some), to + at, to_f8_e4m3);
  }
}

}  // namespace

bool can_convert(DType from) {
  constexpr std::array kKnown = {DType::f32, DType::f16, DType::bf16,    DType::f64,    DType::i32,
                                 DType::i64, DType::u8,  DType::f8_e4m3, DType::f8_e5m2};
  return std::find(kKnown.begin(), kKnown.end(), from) != kKnown.end();
}

void convert(const void* source, DType from, void* destination, DType to, size_t n) {
  if (n == 0) return;  // the addresses may be null
  if (from == to) {
    std::memcpy(destination, source, n * size_of(from));
    return;
  }
#if defined(__x86_64__)
  if (has_f16c()) {
    if (from == DType::f16 && to == DType::f32)
      return f16_to_f32(static_cast<const f16*>(source), static_cast<float*>(destination), n);
    if (from == DType::f32 && to == DType::f16)
      return f32_to_f16(static_cast<const float*>(source), static_cast<f16*>(destination), n);
    if (from == DType::f32 && to == DType::bf16)
      return f32_to_bf16(static_cast<const float*>(source), static_cast<bf16*>(destination), n);
    if (from == DType::f16 && to == DType::bf16)
      return f16_to_bf16(static_cast<const f16*>(source), static_cast<bf16*>(destination), n);
  }
#endif
  switch (to) {
    case DType::f32:
      return convert_to(source, from, static_cast<float*>(destination), n);
    case DType::f16:
      return convert_to(source, from, static_cast<f16*>(destination), n);
    case DType::bf16:
      return convert_to(source, from, static_cast<bf16*>(destination), n);
    case DType::f8_e4m3:
      return convert_to_f8_e4m3(source, from, static_cast<uint8_t*>(destination), n);
    default:
      fail(ErrorCode::internal, "internal error: no conversion to {}", name(to));
  }
}

}  // namespace tempera
