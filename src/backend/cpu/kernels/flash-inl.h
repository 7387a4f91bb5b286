// attention/flash and attention/amx: softmax over blocks of keys with a running maximum and sum (Milakov & Gimelshein
// 2018; Dao et al. 2022). A few queries are computed at a time, so that their scores stay in the first-level cache. The
// code is the same for all instruction sets and all kinds of products (`Products`): of f32, or of bf16, where
// probabilities are also rounded to bf16. Compiled once per instruction set (Highway's foreach_target); the include
// guard is made for that.
#if defined(TEMPERA_BACKEND_CPU_KERNELS_FLASH_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef TEMPERA_BACKEND_CPU_KERNELS_FLASH_INL_H_
#undef TEMPERA_BACKEND_CPU_KERNELS_FLASH_INL_H_
#else
#define TEMPERA_BACKEND_CPU_KERNELS_FLASH_INL_H_
#endif

#include <algorithm>

#include "backend/cpu/kernels/attention.h"
#include "backend/cpu/kernels/product_tile-inl.h"

HWY_BEFORE_NAMESPACE();
namespace tempera {
namespace HWY_NAMESPACE {

// Products multiplies blocks of queries and keys. A new one is made for every block of queries.
//   Element    type of the operands: f32, or pairs of bf16
//   kRows      queries that are computed together
//   kColumns   keys or channels in a panel of packed k and v
//   product<kAccumulate>(a, lda, b, depth, columns, factors, c, ldc)
//              as product_row, for kRows rows and panels of kColumns

// Less than every score. Its differences with scores are still finite.
constexpr float kMasked = -1e30f;

template <class Element>
constexpr bool kPairs = std::is_same_v<Element, BfloatPair>;

// The type of the numbers in an Element, and their count.
template <class Element>
using Number = std::conditional_t<kPairs<Element>, bf16, float>;
template <class Element>
constexpr int64_t kDeep = kPairs<Element> ? 2 : 1;

// 2^x for x <= 0; x below -125 counts as -125. x = n + f with |f| <= 1/2: adding 1.5 * 2^23 leaves n in the low bits of
// the sum, and 2^f is a minimax polynomial: relative error 7.5e-8 (below 2e-7 with rounding), or 7.5e-5 when all of it
// is rounded to bf16 anyway.
template <class Element>
HWY_INLINE FloatVector power_of_two(VectorTag d, FloatVector x) {
  const hn::RebindToUnsigned<VectorTag> bits;
  const auto magic = hn::Set(d, 12582912.0f);
  x = hn::Max(x, hn::Set(d, -125.0f));
  const auto shifted = hn::Add(x, magic);
  const auto f = hn::Sub(x, hn::Sub(shifted, magic));
  FloatVector p;
  if constexpr (kPairs<Element>) {
    p = hn::MulAdd(f, hn::Set(d, 0x1.c3f762p-5f), hn::Set(d, 0x1.f0de1ap-3f));
    p = hn::MulAdd(p, f, hn::Set(d, 0x1.62f31ap-1f));
    p = hn::MulAdd(p, f, hn::Set(d, 0x1.fff692p-1f));
  } else {
    p = hn::MulAdd(f, hn::Set(d, 0x1.5c08e6p-10f), hn::Set(d, 0x1.3d0c52p-7f));
    p = hn::MulAdd(p, f, hn::Set(d, 0x1.c6b6e4p-5f));
    p = hn::MulAdd(p, f, hn::Set(d, 0x1.ebf918p-3f));
    p = hn::MulAdd(p, f, hn::Set(d, 0x1.62e428p-1f));
    p = hn::MulAdd(p, f, hn::Set(d, 0x1.000002p+0f));
  }
  return hn::BitCast(d, hn::Add(hn::BitCast(bits, p), hn::ShiftLeft<23>(hn::BitCast(bits, shifted))));
}

HWY_INLINE void store_two(VectorTag d, FloatVector x, FloatVector y, float* p) {
  hn::Store(x, d, p);
  hn::Store(y, d, p + kLanes);
}
HWY_INLINE void store_two(VectorTag d, FloatVector x, FloatVector y, bf16* p) {
#if HWY_TARGET == HWY_AVX3
  decltype(x.raw) both;
  asm("vcvtne2ps2bf16 %1, %2, %0" : "=v"(both) : "v"(x.raw), "v"(y.raw));
  hn::StoreU(FloatVector{both}, d, reinterpret_cast<float*>(p));
#else
  store(d, x, p);
  store(d, y, p + kLanes);
#endif
}

// The parts of a thread's scratch memory for the queries that are computed together.
template <class Element>
struct Group {
  const Number<Element>* queries;
  float *out, *sums, *maxima;
};

// Scores in units of ln 2: score * factor.
HWY_INLINE float row_max(VectorTag d, const float* row, int64_t columns, float factor) {
  auto a = hn::Load(d, row), b = a;
  int64_t i = kLanes;
  for (; i + 2 * kLanes <= columns; i += 2 * kLanes) {
    a = hn::Max(a, hn::Load(d, row + i));
    b = hn::Max(b, hn::Load(d, row + i + kLanes));
  }
  if (i < columns) a = hn::Max(a, hn::Load(d, row + i));
  return factor * hn::GetLane(hn::MaxOfLanes(d, hn::Max(a, b)));
}

// Probabilities 2^(row * factor - max), written over the beginning of the scores; as bf16 if they are multiplied in
// pairs. Returns their sums, lane by lane.
template <class Element>
HWY_INLINE FloatVector exp_row(VectorTag d, float* row, int64_t columns, float factor, float max) {
  auto* to = reinterpret_cast<Number<Element>*>(row);
  const auto scale = hn::Set(d, factor), origin = hn::Set(d, max);
  const auto probability = [&](int64_t i) HWY_ATTR {
    return power_of_two<Element>(d, hn::MulSub(hn::Load(d, row + i), scale, origin));
  };
  auto a = hn::Zero(d), b = a;
  int64_t i = 0;
  for (; i + 2 * kLanes <= columns; i += 2 * kLanes) {
    const auto x = probability(i), y = probability(i + kLanes);
    a = hn::Add(a, x);
    b = hn::Add(b, y);
    store_two(d, x, y, to + i);
  }
  if (i < columns) {
    const auto x = probability(i);
    a = hn::Add(a, x);
    store(d, x, to + i);
  }
  return hn::Add(a, b);
}

// 2^change, the factor for older sums when the maximum changes by `change` <= 0. It is exactly 1 when the maximum
// stays. The polynomial for bf16 is 0.99993 at 0, which would shrink the sums with every block.
template <class Element>
HWY_INLINE FloatVector older(VectorTag d, float change) {
  if (kPairs<Element> && change == 0) return hn::Set(d, 1.0f);
  return power_of_two<Element>(d, hn::Set(d, change));
}

// Turns the scores of one group and one block into probabilities relative to the new maxima. factors: the factors for
// older sums. visible[r]: number of keys of the block for query r.
template <int kRows, class Element>
HWY_INLINE void softmax_block(const FlashPlan& plan, float* scores, int64_t columns, const int64_t* visible,
                              const Group<Element>& group, float* factors) {
  const VectorTag d;
  const float scale = plan.shape.scale * 1.44269504f;
  float maxima[kRows];
  for (int r = 0; r < kRows; ++r) {
    float* row = scores + r * plan.key_block;
    std::fill(row + visible[r], row + std::max(visible[r], columns), kMasked);
    maxima[r] = std::max(group.maxima[r], row_max(d, row, columns, scale));
  }
  for (int r = 0; r < kRows; ++r) {
    const auto factor = older<Element>(d, group.maxima[r] - maxima[r]);
    const auto added = exp_row<Element>(d, scores + r * plan.key_block, columns, scale, maxima[r]);
    float* sums = group.sums + r * kLanes;
    hn::Store(hn::MulAdd(factor, hn::Load(d, sums), added), d, sums);
    factors[r] = hn::GetLane(factor);
    group.maxima[r] = maxima[r];
  }
}

// One block of keys for one group of queries.
template <class Products, class Element = typename Products::Element>
HWY_INLINE void attend_block(Products& products, const FlashPlan& plan, const Number<Element>* packed, int64_t block,
                             const int64_t* visible, const Group<Element>& group, float* scores) {
  const int64_t dim = plan.shape.dim, columns = plan.block_columns(block);
  const auto elements = [](const auto* numbers) { return reinterpret_cast<const Element*>(numbers); };
  const Element* k = elements(packed + plan.block_offset(block));
  const Element* v = elements(packed + plan.block_offset(block) + columns * dim);
  HWY_ALIGN float factors[Products::kRows];
  products.template product<false>(elements(group.queries), dim / kDeep<Element>, k, dim / kDeep<Element>, columns,
                                   nullptr, scores, plan.key_block);
  softmax_block<Products::kRows>(plan, scores, columns, visible, group, factors);
  const int64_t width = plan.value_columns, depth = columns / kDeep<Element>;
  if (block == 0) {
    products.template product<false>(elements(scores), plan.key_block, v, depth, width, nullptr, group.out, width);
  } else {
    products.template product<true>(elements(scores), plan.key_block, v, depth, width, factors, group.out, width);
  }
}

// Copies queries; rows beyond the last are zero.
template <class T, class To>
void load_queries(const FlashPlan& plan, const T* q, int64_t rows, int64_t padded, To* to) {
  for (int64_t r = 0; r < padded; ++r, to += plan.shape.dim) {
    const T* from = q + r * plan.shape.q_stride;
    if (r >= rows) {
      std::fill(to, to + plan.shape.dim, To{});
    } else if constexpr (std::is_same_v<T, To>) {
      std::copy(from, from + plan.shape.dim, to);
    } else {
      for_each_vector(0, plan.shape.dim, [&](auto d, int64_t i) HWY_ATTR { store(d, load(d, from + i), to + i); });
    }
  }
}

template <class T>
void store_rows(const FlashPlan& plan, const float* out, const float* sums, int64_t rows, T* to) {
  const VectorTag full;
  for (int64_t r = 0; r < rows; ++r, out += plan.value_columns, to += plan.shape.out_stride) {
    const float inverse = 1.0f / hn::GetLane(hn::SumOfLanes(full, hn::Load(full, sums + r * kLanes)));
    for_each_vector(0, plan.shape.dim, [&](auto d, int64_t i) HWY_ATTR {
      store(d, hn::Mul(load(d, out + i), hn::Set(d, inverse)), to + i);
    });
  }
}

template <class Products, class T>
void attend_rows(const FlashPlan& plan, const AttentionHead& head, const std::byte* packed, int64_t first, int64_t rows,
                 std::byte* scratch) {
  using Element = typename Products::Element;
  constexpr int kRows = Products::kRows;
  Products products;
  const AttentionShape& shape = plan.shape;
  const auto floats = [&](size_t offset) { return reinterpret_cast<float*>(scratch + offset); };
  auto* const queries = reinterpret_cast<Number<Element>*>(scratch + plan.scratch.queries);
  float *const out = floats(plan.scratch.out), *const sums = floats(plan.scratch.sums);
  float *const maxima = floats(plan.scratch.maxima), *const scores = floats(plan.scratch.scores);
  const int64_t padded = (rows + kRows - 1) / kRows * kRows;
  load_queries(plan, reinterpret_cast<const T*>(head.q) + first * shape.q_stride, rows, padded, queries);
  std::fill_n(sums, padded * kLanes, 0.0f);
  std::fill_n(maxima, padded, kMasked);
  for (int64_t block = 0; block < plan.key_blocks(); ++block) {
    const int64_t first_key = block * plan.key_block, keys = plan.block_keys(block);
    for (int64_t r = 0; r < padded; r += kRows) {
      int64_t visible[kRows];
      for (int i = 0; i < kRows; ++i)
        visible[i] = shape.causal ? std::clamp<int64_t>(first + r + i + 1 - first_key, 0, keys) : keys;
      if (visible[kRows - 1] == 0) continue;
      const Group<Element> group{queries + r * shape.dim, out + r * plan.value_columns, sums + r * kLanes, maxima + r};
      attend_block(products, plan, reinterpret_cast<const Number<Element>*>(packed), block, visible, group, scores);
    }
  }
  store_rows(plan, out, sums, rows, reinterpret_cast<T*>(head.out) + first * shape.out_stride);
}

// Transposes four elements of each of four rows: four rows of `to`, `width` elements apart.
#if HWY_TARGET != HWY_SCALAR
template <class Element, class T>
HWY_INLINE void transpose4x4(const T* from, int64_t stride, Element* to, int64_t width) {
  const hn::FixedTag<float, 4> d;
  const hn::FixedTag<double, 2> halves;
  const auto row = [&](int64_t i) HWY_ATTR {
    if constexpr (kPairs<Element>) return hn::LoadU(d, reinterpret_cast<const float*>(from + i * stride));
    if constexpr (!kPairs<Element>) return load(d, from + i * stride);
  };
  const auto wide = [&](auto v) HWY_ATTR { return hn::BitCast(halves, v); };
  const auto r0 = row(0), r1 = row(1), r2 = row(2), r3 = row(3);
  const auto a = wide(hn::InterleaveLower(d, r0, r1)), b = wide(hn::InterleaveLower(d, r2, r3));
  const auto c = wide(hn::InterleaveUpper(d, r0, r1)), e = wide(hn::InterleaveUpper(d, r2, r3));
  const auto put = [&](int64_t i, auto v)
                       HWY_ATTR { hn::StoreU(hn::BitCast(d, v), d, reinterpret_cast<float*>(to + i * width)); };
  put(0, hn::InterleaveLower(halves, a, b));
  put(1, hn::InterleaveUpper(halves, a, b));
  put(2, hn::InterleaveLower(halves, c, e));
  put(3, hn::InterleaveUpper(halves, c, e));
}
#endif

// A panel of `width` keys, of which `filled` exist: dim deep, key by key.
template <class Element, class T>
void pack_keys(const T* from, int64_t stride, int64_t dim, int64_t filled, int64_t width, Element* to) {
  constexpr int64_t deep = kDeep<Element>;
  int64_t key = 0;
#if HWY_TARGET != HWY_SCALAR
  for (; key + 4 <= filled; key += 4)
    for (int64_t i = 0; i < dim; i += 4 * deep)
      transpose4x4(from + key * stride + i, stride, to + i / deep * width + key, width);
#endif
  auto* const numbers = reinterpret_cast<Number<Element>*>(to);
  for (; key < width; ++key)
    for (int64_t i = 0; i < dim; ++i)
      numbers[(i / deep * width + key) * deep + i % deep] =
          key < filled ? from_float<Number<Element>>(to_float(from[key * stride + i])) : Number<Element>{};
}

// One row of a panel of channels, of which `filled` exist: `deep` keys of V, interleaved. The second may be absent.
template <class T>
HWY_INLINE void pack_values(const T* first, const T*, int64_t filled, int64_t width, float* to) {
  for_each_vector(0, filled, [&](auto d, int64_t i) HWY_ATTR { store(d, load(d, first + i), to + i); });
  std::fill(to + filled, to + width, 0.0f);
}
HWY_INLINE void pack_values(const bf16* first, const bf16* second, int64_t filled, int64_t width, BfloatPair* to) {
  for (int64_t i = 0; i < filled; ++i) to[i] = {first[i], second == nullptr ? bf16{} : second[i]};
  std::fill(to + filled, to + width, BfloatPair{});
}

// K of one block as panels of keys, V as panels of channels. Zero after the last key and the last channel.
template <class Products, class T, class Element = typename Products::Element>
void pack_block(const FlashPlan& plan, const T* k, const T* v, int64_t block, Number<Element>* packed) {
  constexpr int64_t deep = kDeep<Element>, panel = Products::kColumns;
  const int64_t dim = plan.shape.dim, stride = plan.shape.kv_stride;
  const int64_t keys = plan.block_keys(block), columns = plan.block_columns(block);
  k += block * plan.key_block * stride;
  v += block * plan.key_block * stride;
  auto* to = reinterpret_cast<Element*>(packed + plan.block_offset(block));
  for (int64_t column = 0; column < columns; column += panel) {
    const int64_t width = std::min(panel, columns - column);
    pack_keys(k + column * stride, stride, dim, std::clamp<int64_t>(keys - column, 0, width), width, to);
    to += width * dim / deep;
  }
  for (int64_t column = 0; column < plan.value_columns; column += panel) {
    const int64_t width = std::min(panel, plan.value_columns - column), filled = std::min(width, dim - column);
    for (int64_t key = 0; key < columns; key += deep, to += width) {
      const T* row = v + key * stride + column;
      if (key < keys) {
        pack_values(row, key + 1 < keys ? row + stride : nullptr, filled, width, to);
      } else {
        std::fill(to, to + width, Element{});
      }
    }
  }
}

// Calls f with a null pointer to the type of q, k, v and the output. Pairs are of bf16 only.
template <class Element, class F>
HWY_INLINE void with_storage(DType type, const F& f) {
  if constexpr (kPairs<Element>) {
    f(static_cast<const bf16*>(nullptr));
  } else {
    with_type(type, static_cast<const void*>(nullptr), f);
  }
}

// The functions for FlashIsa::pack and FlashIsa::attend.
template <class Products>
void pack(const FlashPlan& plan, const AttentionHead& head, int64_t block, std::byte* packed) {
  using Element = typename Products::Element;
  with_storage<Element>(plan.shape.dtype, [&](auto* storage) HWY_ATTR {
    pack_block<Products>(plan, reinterpret_cast<decltype(storage)>(head.k), reinterpret_cast<decltype(storage)>(head.v),
                         block, reinterpret_cast<Number<Element>*>(packed));
  });
}

template <class Products>
void attend(const FlashPlan& plan, const AttentionHead& head, const std::byte* packed, int64_t first, int64_t rows,
            std::byte* scratch) {
  with_storage<typename Products::Element>(plan.shape.dtype, [&](auto* storage) HWY_ATTR {
    attend_rows<Products, std::remove_cvref_t<decltype(*storage)>>(plan, head, packed, first, rows, scratch);
  });
}

}  // namespace HWY_NAMESPACE
}  // namespace tempera
HWY_AFTER_NAMESPACE();

#endif  // include guard
