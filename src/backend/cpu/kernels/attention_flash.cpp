// attention/flash: flash-inl.h with products on vector registers, of f32 and of pairs of bf16.
#include "backend/cpu/kernels/targets.h"
//
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "backend/cpu/kernels/attention_flash.cpp"
#include "hwy/foreach_target.h"
//
#include "backend/cpu/kernels/flash-inl.h"

HWY_BEFORE_NAMESPACE();
namespace tempera {
namespace HWY_NAMESPACE {
namespace {

template <class Number>
struct VectorProducts {
  using Element = Number;
  static constexpr int kRows = kTileRows;
  static constexpr int64_t kColumns = kTileColumns;

  template <bool kAccumulate>
  HWY_INLINE void product(const Element* a, int64_t lda, const Element* b, int64_t depth, int64_t columns,
                          const float* factors, float* c, int64_t ldc) {
    product_row<kAccumulate>(a, lda, b, depth, columns, factors, c, ldc);
  }
};

// K of a block has 64 KiB, so that K and V stay in the second-level cache. A block has at least 64 keys, so that the
// sums are not loaded and stored too often.
template <class Products>
FlashIsa isa_of(size_t packed_bytes) {
  return {.name = hwy::TargetName(HWY_TARGET),
          .query_rows = Products::kRows,
          .key_columns = Products::kColumns,
          .key_step = std::max<int64_t>(kLanes, 8),
          .lanes = kLanes,
          .packed_bytes = packed_bytes,
          .least_keys = 64,
          .most_keys = 512,
          .pack = pack<Products>,
          .attend = attend<Products>};
}

}  // namespace

const FlashIsa* flash_f32() {
  static const FlashIsa isa = isa_of<VectorProducts<float>>(sizeof(float));
  return &isa;
}

const FlashIsa* flash_pairs() {
  static const FlashIsa isa = isa_of<VectorProducts<BfloatPair>>(sizeof(bf16));
  return &isa;
}

}  // namespace HWY_NAMESPACE
}  // namespace tempera
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace tempera {
namespace {
HWY_EXPORT(flash_f32);
HWY_EXPORT(flash_pairs);
}  // namespace

const FlashIsa& flash_isa_f32() {
  return *HWY_DYNAMIC_DISPATCH(flash_f32)();
}

const FlashIsa& flash_isa_pairs() {
  return *HWY_DYNAMIC_DISPATCH(flash_pairs)();
}

}  // namespace tempera
#endif  // HWY_ONCE
