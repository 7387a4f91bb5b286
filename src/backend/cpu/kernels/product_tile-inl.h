// The register-blocked product of attention's scores and of its weighted sums. kTileRows rows times kVectors vectors
// stay in registers in the loop over the depth. One broadcast of `a` is used with all vectors of a row of `b` (Goto &
// van de Geijn 2008). Elements are f32, or pairs of bf16 that are multiplied and summed in f32 (the AVX-512 BF16
// instruction, or plain code with the same result). Compiled once per instruction set (Highway's foreach_target); the
// include guard is made for that.
#if defined(TEMPERA_BACKEND_CPU_KERNELS_PRODUCT_TILE_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef TEMPERA_BACKEND_CPU_KERNELS_PRODUCT_TILE_INL_H_
#undef TEMPERA_BACKEND_CPU_KERNELS_PRODUCT_TILE_INL_H_
#else
#define TEMPERA_BACKEND_CPU_KERNELS_PRODUCT_TILE_INL_H_
#endif

#include <cstring>

#include "backend/cpu/kernels/vector-inl.h"
#include "hwy/cache_control.h"

HWY_BEFORE_NAMESPACE();
namespace tempera {
namespace HWY_NAMESPACE {

using FloatVector = hn::Vec<VectorTag>;
constexpr int64_t kLanes = hn::MaxLanes(VectorTag());
// Accumulators, two vectors of b and one broadcast fill the register file: 12 + 3 of 16, or 24 + 3 of 32.
constexpr int kTileRows = kLanes >= 16 ? 12 : 6;
constexpr int kTileVectors = 2;
constexpr int64_t kTileColumns = kTileVectors * kLanes;
// Depths are multiples of this. With fewer iterations, the processor can predict the end of the loop.
constexpr int kDepthStep = 4;
// The distance at which b is prefetched into the first-level cache, in steps of the depth.
constexpr int kAhead = 12;
constexpr int64_t kLineElements = 16;

// Two neighbours along the depth.
struct BfloatPair {
  bf16 low, high;
};

// Both, as the bits of an f32 vector.
HWY_INLINE FloatVector broadcast(VectorTag d, const float* p) {
  return hn::Set(d, *p);
}
HWY_INLINE FloatVector broadcast(VectorTag d, const BfloatPair* p) {
  const hn::RebindToUnsigned<VectorTag> bits;
  uint32_t pair;
  std::memcpy(&pair, p, sizeof(pair));
  return hn::BitCast(d, hn::Set(bits, pair));
}
HWY_INLINE FloatVector load_lanes(VectorTag d, const float* p) {
  return hn::Load(d, p);
}
HWY_INLINE FloatVector load_lanes(VectorTag d, const BfloatPair* p) {
  const hn::RebindToUnsigned<VectorTag> bits;
  return hn::BitCast(d, hn::Load(bits, reinterpret_cast<const uint32_t*>(p)));
}

// sum + x y. Inline assembly, because GCC otherwise selects forms that overwrite x or y, and then spills half of the
// tile.
template <class Element>
HWY_INLINE FloatVector multiply_add(FloatVector x, FloatVector y, FloatVector sum);

template <>
HWY_INLINE FloatVector multiply_add<float>(FloatVector x, FloatVector y, FloatVector sum) {
#if HWY_TARGET == HWY_AVX2 || HWY_TARGET == HWY_AVX3
  auto result = sum.raw;
  asm("vfmadd231ps %2, %1, %0" : "+v"(result) : "v"(x.raw), "v"(y.raw));
  return FloatVector{result};
#else
  return hn::MulAdd(x, y, sum);
#endif
}

// If this is compiled for AVX-512, the processor must have AVX-512 BF16.
template <>
HWY_INLINE FloatVector multiply_add<BfloatPair>(FloatVector x, FloatVector y, FloatVector sum) {
#if HWY_TARGET == HWY_AVX3
  auto result = sum.raw;
  asm("vdpbf16ps %2, %1, %0" : "+v"(result) : "v"(x.raw), "v"(y.raw));
  return FloatVector{result};
#else
  const VectorTag d;
  const hn::RebindToUnsigned<VectorTag> bits;
  const auto low = [&](FloatVector v) HWY_ATTR { return hn::BitCast(d, hn::ShiftLeft<16>(hn::BitCast(bits, v))); };
  const auto high = [&](FloatVector v)
                        HWY_ATTR { return hn::BitCast(d, hn::And(hn::BitCast(bits, v), hn::Set(bits, 0xffff0000u))); };
  return hn::MulAdd(low(x), low(y), hn::MulAdd(high(x), high(y), sum));
#endif
}

// c (kTileRows x kVectors vectors, rows ldc apart) = a (kTileRows x depth, rows lda apart) times b (depth rows of
// kVectors vectors, one after the other). With kAccumulate, row r of c times factors[r] is added. b and c are aligned
// to vectors. depth and lda count elements; a pair is one element.
template <int kVectors, bool kAccumulate, class Element>
HWY_INLINE void product_tile(const Element* HWY_RESTRICT a, int64_t lda, const Element* HWY_RESTRICT b, int64_t depth,
                             const float* HWY_RESTRICT factors, float* HWY_RESTRICT c, int64_t ldc) {
  const VectorTag d;
  FloatVector sum[kTileRows][kVectors];
  HWY_UNROLL(16)
  for (int r = 0; r < kTileRows; ++r) {
    HWY_UNROLL(4)
    for (int v = 0; v < kVectors; ++v)
      sum[r][v] = kAccumulate ? hn::Mul(hn::Set(d, factors[r]), hn::Load(d, c + r * ldc + v * kLanes)) : hn::Zero(d);
  }
  for (int64_t k = 0; k < depth; k += kDepthStep) {
    HWY_UNROLL(4)
    for (int step = 0; step < kDepthStep; ++step) {
      FloatVector row[kVectors];
      HWY_UNROLL(4)
      for (int v = 0; v < kVectors; ++v) {
        row[v] = load_lanes(d, b + (step * kVectors + v) * kLanes);
        if (v * kLanes % kLineElements == 0) hwy::Prefetch(b + ((kAhead + step) * kVectors + v) * kLanes);
      }
      HWY_UNROLL(16)
      for (int r = 0; r < kTileRows; ++r) {
        const FloatVector x = broadcast(d, a + r * lda + k + step);
        HWY_UNROLL(4)
        for (int v = 0; v < kVectors; ++v) sum[r][v] = multiply_add<Element>(x, row[v], sum[r][v]);
      }
    }
    b += kDepthStep * kVectors * kLanes;
  }
  HWY_UNROLL(16)
  for (int r = 0; r < kTileRows; ++r) {
    HWY_UNROLL(4)
    for (int v = 0; v < kVectors; ++v) hn::Store(sum[r][v], d, c + r * ldc + v * kLanes);
  }
}

// The same for `columns` columns, a multiple of kLanes: panels of kTileColumns, then a panel of kLanes for a remainder.
// Each panel of b is depth x its width.
template <bool kAccumulate, class Element>
HWY_INLINE void product_row(const Element* a, int64_t lda, const Element* b, int64_t depth, int64_t columns,
                            const float* factors, float* c, int64_t ldc) {
  int64_t column = 0;
  for (; column + kTileColumns <= columns; column += kTileColumns)
    product_tile<kTileVectors, kAccumulate>(a, lda, b + column * depth, depth, factors, c + column, ldc);
  if (column < columns) product_tile<1, kAccumulate>(a, lda, b + column * depth, depth, factors, c + column, ldc);
}

}  // namespace HWY_NAMESPACE
}  // namespace tempera
HWY_AFTER_NAMESPACE();

#endif  // include guard
