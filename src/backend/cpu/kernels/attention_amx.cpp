// attention/amx: flash attention with products of bf16 in AMX tiles, 32 queries at a time. Four tiles hold the sums of
// 32 rows and 32 columns. Two tiles of a and two of b are loaded for them, so each load is used in two products.
// Probabilities and rescaling use the vector code of attention/flash. A UNet step at 512 x 512 on two virtual
// processors of a Xeon takes 157 ms (351 GFLOP/s), with attention/flash 534 ms.
#include "backend/cpu/kernels/targets.h"
//
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "backend/cpu/kernels/attention_amx.cpp"
#include "hwy/foreach_target.h"
//
#include <bit>
#include <cstring>

#include "backend/cpu/kernels/flash-inl.h"

HWY_BEFORE_NAMESPACE();
namespace tempera {
namespace HWY_NAMESPACE {
namespace {

// Rows in a tile, and floats or pairs of bf16 in a row of it.
constexpr int64_t kTile = 16;

// Eight registers of 16 rows of 64 bytes. `stride` is in bytes, from row to row in memory. Registers belong to a
// thread. If a thread leaves tiles configured, every switch to it is slower, so they are always released.
#if HWY_ARCH_X86_64 && HWY_TARGET == HWY_AVX3
class Tiles {
 public:
  Tiles() {
    struct Config {
      uint8_t palette = 1, first_row = 0, reserved[14] = {};
      uint16_t row_bytes[16] = {64, 64, 64, 64, 64, 64, 64, 64};
      uint8_t rows[16] = {16, 16, 16, 16, 16, 16, 16, 16};
    };
    static constexpr Config config;
    static_assert(sizeof(config) == 64);
    asm volatile("ldtilecfg %0" ::"m"(config));
  }
  ~Tiles() { asm volatile("tilerelease"); }
  Tiles(const Tiles&) = delete;
  Tiles& operator=(const Tiles&) = delete;

  template <int tile>
  HWY_INLINE void zero() {
    asm volatile("tilezero %%tmm%c0" ::"i"(tile));
  }
  template <int tile>
  HWY_INLINE void load(const void* from, int64_t stride) {
    asm volatile("tileloadd (%0,%1,1), %%tmm%c2" ::"r"(from), "r"(stride), "i"(tile) : "memory");
  }
  template <int tile>
  HWY_INLINE void store(void* to, int64_t stride) {
    asm volatile("tilestored %%tmm%c2, (%0,%1,1)" ::"r"(to), "r"(stride), "i"(tile) : "memory");
  }
  // sum (f32) += a b. a has pairs of bf16 along its rows, b along its columns.
  template <int sum, int a, int b>
  HWY_INLINE void multiply() {
    asm volatile("tdpbf16ps %%tmm%c2, %%tmm%c1, %%tmm%c0" ::"i"(sum), "i"(a), "i"(b));
  }
};
#else
// Plain code with the same result, for tests on machines without AMX.
class Tiles {
 public:
  template <int tile>
  void zero() {
    std::memset(tiles_[tile], 0, sizeof(tiles_[tile]));
  }
  template <int tile>
  void load(const void* from, int64_t stride) {
    for (int64_t r = 0; r < kTile; ++r)
      std::memcpy(tiles_[tile][r], static_cast<const std::byte*>(from) + r * stride, sizeof(tiles_[tile][r]));
  }
  template <int tile>
  void store(void* to, int64_t stride) {
    for (int64_t r = 0; r < kTile; ++r)
      std::memcpy(static_cast<std::byte*>(to) + r * stride, tiles_[tile][r], sizeof(tiles_[tile][r]));
  }
  template <int sum, int a, int b>
  void multiply() {
    const auto low = [](uint32_t pair) { return std::bit_cast<float>(pair << 16); };
    const auto high = [](uint32_t pair) { return std::bit_cast<float>(pair & 0xffff0000u); };
    for (int64_t r = 0; r < kTile; ++r)
      for (int64_t k = 0; k < kTile; ++k) {
        const uint32_t x = tiles_[a][r][k];
        for (int64_t n = 0; n < kTile; ++n) {
          const uint32_t y = tiles_[b][k][n];
          const float total = std::bit_cast<float>(tiles_[sum][r][n]) + low(x) * low(y) + high(x) * high(y);
          tiles_[sum][r][n] = std::bit_cast<uint32_t>(total);
        }
      }
  }

 private:
  uint32_t tiles_[8][kTile][kTile];
};
#endif

class TileProducts {
 public:
  using Element = BfloatPair;
  static constexpr int kRows = 2 * kTile;
  static constexpr int64_t kColumns = 2 * kTile;

  // depth and columns: multiples of kTile and kColumns.
  template <bool kAccumulate>
  HWY_INLINE void product(const BfloatPair* a, int64_t lda, const BfloatPair* b, int64_t depth, int64_t columns,
                          const float* factors, float* c, int64_t ldc) {
    constexpr auto element_bytes = static_cast<int64_t>(sizeof(BfloatPair));
    if constexpr (kAccumulate) scale_rows(factors, columns, c, ldc);
    for (int64_t column = 0; column < columns; column += kColumns, b += depth * kColumns) {
      start<kAccumulate>(c + column, ldc);
      for (int64_t k = 0; k < depth; k += kTile) {
        tiles_.load<4>(a + k, lda * element_bytes);
        tiles_.load<6>(b + k * kColumns, kColumns * element_bytes);
        tiles_.multiply<0, 4, 6>();
        tiles_.load<7>(b + k * kColumns + kTile, kColumns * element_bytes);
        tiles_.multiply<1, 4, 7>();
        tiles_.load<5>(a + kTile * lda + k, lda * element_bytes);
        tiles_.multiply<2, 5, 6>();
        tiles_.multiply<3, 5, 7>();
      }
      finish(c + column, ldc);
    }
  }

 private:
  HWY_INLINE static void scale_rows(const float* factors, int64_t columns, float* c, int64_t ldc) {
    const VectorTag d;
    for (int64_t r = 0; r < kRows; ++r, c += ldc) {
      if (factors[r] == 1.0f) continue;
      for (int64_t i = 0; i < columns; i += kLanes)
        hn::Store(hn::Mul(hn::Set(d, factors[r]), hn::Load(d, c + i)), d, c + i);
    }
  }

  template <bool kAccumulate>
  HWY_INLINE void start(const float* c, int64_t ldc) {
    if constexpr (kAccumulate) {
      const int64_t stride = ldc * static_cast<int64_t>(sizeof(float));
      tiles_.load<0>(c, stride);
      tiles_.load<1>(c + kTile, stride);
      tiles_.load<2>(c + kTile * ldc, stride);
      tiles_.load<3>(c + kTile * ldc + kTile, stride);
    } else {
      tiles_.zero<0>();
      tiles_.zero<1>();
      tiles_.zero<2>();
      tiles_.zero<3>();
    }
  }

  HWY_INLINE void finish(float* c, int64_t ldc) {
    const int64_t stride = ldc * static_cast<int64_t>(sizeof(float));
    tiles_.store<0>(c, stride);
    tiles_.store<1>(c + kTile, stride);
    tiles_.store<2>(c + kTile * ldc, stride);
    tiles_.store<3>(c + kTile * ldc + kTile, stride);
  }

  Tiles tiles_;
};

}  // namespace

// Scores of 32 queries and 256 keys have 32 KiB. More would not fit in the first-level cache.
const FlashIsa* flash_tiles() {
  static const FlashIsa isa{.name = hwy::TargetName(HWY_TARGET),
                            .query_rows = TileProducts::kRows,
                            .key_columns = TileProducts::kColumns,
                            .key_step = 2 * kTile,
                            .lanes = kLanes,
                            .packed_bytes = sizeof(bf16),
                            .least_keys = 256,
                            .most_keys = 256,
                            .pack = pack<TileProducts>,
                            .attend = attend<TileProducts>};
  return &isa;
}

}  // namespace HWY_NAMESPACE
}  // namespace tempera
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace tempera {
namespace {
HWY_EXPORT(flash_tiles);
}  // namespace

const FlashIsa& flash_isa_tiles() {
  return *HWY_DYNAMIC_DISPATCH(flash_tiles)();
}

}  // namespace tempera
#endif  // HWY_ONCE
