// Lanes are channels: of the input for values, of the output for taps, products and results.
#include "backend/cpu/kernels/targets.h"
//
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "backend/cpu/kernels/winograd.cpp"
#include "hwy/foreach_target.h"
//
#include <algorithm>

#include "backend/cpu/kernels/product_tile-inl.h"
#include "backend/cpu/kernels/winograd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace tempera {
namespace HWY_NAMESPACE {
namespace {

constexpr int kT = kWinogradTile, kP = kWinogradPatch;

// Transforms the nine taps of kLanes output channels and one input channel to u, whose 36 elements are `step` apart.
template <class Load>
HWY_INLINE void transform_weight(const Load& tap, float* u, int64_t step) {
  const VectorTag d;
  FloatVector columns[3][kP];
  for (int x = 0; x < 3; ++x) {
    const FloatVector g[3] = {tap(x), tap(3 + x), tap(6 + x)};
    transform_taps(d, g, columns[x]);
  }
  for (int y = 0; y < kP; ++y) {
    const FloatVector g[3] = {columns[0][y], columns[1][y], columns[2][y]};
    FloatVector row[kP];
    transform_taps(d, g, row);
    for (int x = 0; x < kP; ++x) hn::Store(row[x], d, u + (y * kP + x) * step);
  }
}

void taps(DType type, const std::byte* weights, const WinogradBlock& block, int64_t begin, int64_t end,
          const WinogradScratch& s) {
  const VectorTag d;
  const hn::RebindToUnsigned<VectorTag> bits;
  const int64_t pairs = s.channels / 2;
  for (int64_t i = begin; i < end; ++i) {
    const int64_t panel = i / pairs, in = i % pairs * 2;
    const int64_t from = (block.first_out / kWinogradPanel + panel) * pairs + in / 2;
    for (int64_t lane = 0; lane < kWinogradPanel; lane += kLanes)
      for (int64_t k = 0; k < 2; ++k) {
        const int64_t out = panel * kWinogradPanel + lane;
        float* u = s.taps + (out / kTileColumns * s.channels + in + k) * kTileColumns + out % kTileColumns;
        if (type == DType::f32) {
          const float* w = reinterpret_cast<const float*>(weights) + (from * 2 + k) * 9 * kWinogradPanel + lane;
          transform_weight([&](int t) HWY_ATTR { return hn::Load(d, w + t * kWinogradPanel); }, u, s.taps_step);
        } else {
          const uint32_t* w = reinterpret_cast<const uint32_t*>(weights) + from * 9 * kWinogradPanel + lane;
          const auto tap = [&](int t) HWY_ATTR {
            const auto pair = hn::Load(bits, w + t * kWinogradPanel);
            return hn::BitCast(d, k == 0 ? hn::ShiftLeft<16>(pair) : hn::And(pair, hn::Set(bits, 0xffff0000u)));
          };
          transform_weight(tap, u, s.taps_step);
        }
      }
  }
}

// One patch of kLanes channels. value(y, x) is its value at this position.
template <class Value>
HWY_INLINE void transform_patch(const Value& value, float* v, int64_t step) {
  const VectorTag d;
  FloatVector columns[kP][kP];
  for (int x = 0; x < kP; ++x) {
    const FloatVector in[kP] = {value(0, x), value(1, x), value(2, x), value(3, x), value(4, x), value(5, x)};
    transform_values(d, in, columns[x]);
  }
  for (int y = 0; y < kP; ++y) {
    const FloatVector in[kP] = {columns[0][y], columns[1][y], columns[2][y],
                                columns[3][y], columns[4][y], columns[5][y]};
    FloatVector row[kP];
    transform_values(d, in, row);
    for (int x = 0; x < kP; ++x) hn::Store(row[x], d, v + (y * kP + x) * step);
  }
}

void values(DType type, const std::byte* x, const WinogradTiles& tiles, const WinogradBlock& block,
            const WinogradScratch& s) {
  const VectorTag d;
  with_type(type, static_cast<const void*>(x), [&](const auto* pictures) HWY_ATTR {
    for (int64_t i = 0; i < block.count; ++i) {
      const int64_t tile = block.first + i, n = tile / tiles.per_picture(), place = tile % tiles.per_picture();
      const int64_t top = place / tiles.across() * kT - tiles.pad, left = place % tiles.across() * kT - tiles.pad;
      const int64_t first_row = n * tiles.height + top;
      const auto at = [&](int64_t row, int64_t column) {
        return ((first_row + row) * tiles.width + left + column) * s.channels;
      };
      const auto inside = [&](int64_t row, int64_t column) {
        return top + row >= 0 && top + row < tiles.height && left + column >= 0 && left + column < tiles.width;
      };
      const bool whole = inside(0, 0) && inside(kP - 1, kP - 1);
      float* v = s.values + i * s.values_row;
      for (int64_t c = 0; c < s.channels; c += kLanes)
        if (whole) {
          transform_patch([&](int64_t row, int64_t column)
                              HWY_ATTR { return load(d, pictures + (at(row, column) + c)); },
                          v + c, s.values_step);
        } else {
          transform_patch(
              [&](int64_t row, int64_t column)
                  HWY_ATTR { return inside(row, column) ? load(d, pictures + (at(row, column) + c)) : hn::Zero(d); },
              v + c, s.values_step);
        }
    }
  });
}

void multiply(const WinogradBlock& block, const WinogradScratch& s) {
  for (int place = 0; place < kWinogradPlaces; ++place)
    for (int64_t row = 0; row < block.count; row += kTileRows)
      product_row<false>(s.values + place * s.values_step + row * s.values_row, s.values_row,
                         s.taps + place * s.taps_step, s.channels, block.out, nullptr,
                         s.products + place * s.products_step + row * s.products_row, s.products_row);
}

// Passes the 4 x 4 results of kLanes channels, computed from `m`, to store(y, x, result).
template <class Store>
HWY_INLINE void transform_tile(const float* m, int64_t step, const Store& store) {
  const VectorTag d;
  FloatVector columns[kP][kT];
  for (int x = 0; x < kP; ++x) {
    FloatVector in[kP];
    for (int y = 0; y < kP; ++y) in[y] = hn::Load(d, m + (y * kP + x) * step);
    transform_products(d, in, columns[x]);
  }
  for (int y = 0; y < kT; ++y) {
    const FloatVector in[kP] = {columns[0][y], columns[1][y], columns[2][y],
                                columns[3][y], columns[4][y], columns[5][y]};
    FloatVector row[kT];
    transform_products(d, in, row);
    for (int x = 0; x < kT; ++x) store(y, x, row[x]);
  }
}

void results(const WinogradTiles& tiles, const WinogradBlock& block, const WinogradScratch& s,
             const WinogradOutput& output) {
  const VectorTag d;
  with_type(output.type, static_cast<void*>(output.data), [&](auto* out) HWY_ATTR {
    const auto* residual = reinterpret_cast<const std::remove_pointer_t<decltype(out)>*>(output.residual);
    with_activation(output.activation, [&](auto activation) HWY_ATTR {
      for (int64_t i = 0; i < block.count; ++i) {
        const int64_t tile = block.first + i, n = tile / tiles.per_picture(), place = tile % tiles.per_picture();
        const int64_t y0 = place / tiles.across() * kT, x0 = place % tiles.across() * kT;
        const int64_t rows = tiles.out_height - y0, columns = tiles.out_width - x0;
        const int64_t at = ((n * tiles.out_height + y0) * tiles.out_width + x0) * output.channels + block.first_out;
        for (int64_t c = 0; c < block.out; c += kLanes) {
          const auto bias = output.bias == nullptr ? hn::Zero(d) : hn::LoadU(d, output.bias + block.first_out + c);
          transform_tile(s.products + i * s.products_row + c, s.products_step,
                         [&](int64_t y, int64_t x, FloatVector result) HWY_ATTR {
                           if (y >= rows || x >= columns) return;
                           const int64_t to = at + (y * tiles.out_width + x) * output.channels + c;
                           result = activate<activation()>(d, hn::Add(result, bias));
                           if (residual != nullptr) result = hn::Add(result, load(d, residual + to));
                           store(d, result, out + to);
                         });
        }
      }
    });
  });
}

}  // namespace

const WinogradIsa* winograd() {
  static const WinogradIsa isa = {kTileRows, taps, values, multiply, results};
  return &isa;
}

}  // namespace HWY_NAMESPACE
}  // namespace tempera
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace tempera {
namespace {
HWY_EXPORT(winograd);
}  // namespace

const WinogradIsa& winograd_isa() {
  return *HWY_DYNAMIC_DISPATCH(winograd)();
}

}  // namespace tempera
#endif  // HWY_ONCE
