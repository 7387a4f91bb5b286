// Packed weights against the definition of a blocked layout, element by element.
#include "backend/cpu/packing/packing.h"

#include <gtest/gtest.h>

#include "base/error.h"
#include "base/half.h"
#include "support/counting_reader.h"

namespace tempera {
namespace {

struct Layout {
  const char* name;
  WeightShape shape;
  WeightDims dims;
  Blocking blocking;
};

constexpr WeightDims kConv{.out = 0, .in = 1, .y = 2, .x = 3};
constexpr WeightDims kMatrix{.out = 1, .in = 0};

// oneDNN's names for the layouts of its kernels.
std::vector<Layout> layouts() {
  return {
      {"ab", {40, 24, 1}, kMatrix, {{24, 40}, {40, 1}, {}, {}}},
      {"ba", {40, 24, 1}, kMatrix, {{24, 40}, {1, 24}, {}, {}}},
      {"BA16a64b", {128, 48, 1}, kMatrix, {{48, 128}, {1024, 3072}, {16, 64}, {0, 1}}},
      {"BA16a64b2a", {128, 64, 1}, kMatrix, {{64, 128}, {2048, 4096}, {16, 64, 2}, {0, 1, 0}}},
      {"BA16a64b2a padded", {67, 33, 1}, kMatrix, {{64, 128}, {2048, 4096}, {16, 64, 2}, {0, 1, 0}}},
      {"OIhw8i8o", {16, 24, 3}, kConv, {{16, 24, 3, 3}, {1728, 576, 192, 64}, {8, 8}, {1, 0}}},
      {"OIhw8i8o padded", {11, 13, 3}, kConv, {{16, 16, 3, 3}, {1152, 576, 192, 64}, {8, 8}, {1, 0}}},
      {"Ohwi8o", {16, 3, 3}, kConv, {{16, 3, 3, 3}, {216, 8, 72, 24}, {8}, {0}}},
      {"AcdB32a2b", {64, 48, 3}, kConv, {{64, 48, 3, 3}, {13824, 64, 4608, 1536}, {32, 2}, {0, 1}}},
      {"AcdB32a2b padded", {37, 31, 1}, kConv, {{64, 32, 1, 1}, {1024, 64, 1024, 1024}, {32, 2}, {0, 1}}},
  };
}

// The offset of index `i` of dimension `dim`, digit by digit.
int64_t place(const Blocking& b, int dim, int64_t i) {
  int64_t block = 1;
  for (size_t k = 0; k < b.blocks.size(); ++k)
    if (b.block_dims[k] == dim) block *= b.blocks[k];
  int64_t offset = i / block * b.strides[static_cast<size_t>(dim)], rest = i % block;
  for (size_t k = 0; k < b.blocks.size(); ++k) {
    if (b.block_dims[k] != dim) continue;
    block /= b.blocks[k];
    int64_t step = 1;
    for (size_t inner = k + 1; inner < b.blocks.size(); ++inner) step *= b.blocks[inner];
    offset += rest / block * step;
    rest %= block;
  }
  return offset;
}

// Element (o, i, tap) is 1 + its index modulo 200, which bf16 and f16 hold exactly; padding is 0.
float value(const WeightShape& s, int64_t o, int64_t i, int64_t tap) {
  return static_cast<float>(1 + ((o * s.in + i) * s.taps() + tap) % 200);
}

std::vector<std::byte> source(const WeightShape& s, int64_t first, int64_t last, DType dtype) {
  std::vector<float> values;
  for (int64_t o = first; o < last; ++o)
    for (int64_t i = 0; i < s.in; ++i)
      for (int64_t tap = 0; tap < s.taps(); ++tap) values.push_back(value(s, o, i, tap));
  std::vector<std::byte> bytes(values.size() * size_of(dtype));
  convert(values.data(), DType::f32, bytes.data(), dtype, values.size());
  return bytes;
}

void check(const Layout& l, DType dtype) {
  SCOPED_TRACE(std::string(l.name) + " " + std::string(name(dtype)));
  const WeightShape& s = l.shape;
  const WeightLayout layout = weight_layout(l.blocking, dtype, l.dims, s);
  int64_t padded = 1;
  for (int64_t n : l.blocking.padded) padded *= n;
  ASSERT_EQ(layout.elements, padded);

  const int64_t cut = s.out / 3;  // parts of different types, cut in the middle of tiles
  const auto first = source(s, 0, cut, DType::f16), second = source(s, cut, s.out, DType::bf16);
  const std::vector<WeightPart> parts{stored_part(DType::f16, first), stored_part(DType::bf16, second)};
  const WeightRows rows(parts, s.out, s.in * s.taps());
  std::vector<std::byte> packed(layout.bytes(), std::byte{0xff});
  pack_weight(layout, rows, 0, packed.data());

  std::vector<float> expected(static_cast<size_t>(padded)), got(expected.size());
  for (int64_t o = 0; o < s.out; ++o)
    for (int64_t i = 0; i < s.in; ++i)
      for (int64_t tap = 0; tap < s.taps(); ++tap) {
        int64_t at = place(l.blocking, l.dims.out, o) + place(l.blocking, l.dims.in, i);
        if (l.dims.y >= 0) at += place(l.blocking, 2, tap / s.kernel) + place(l.blocking, 3, tap % s.kernel);
        expected[static_cast<size_t>(at)] = value(s, o, i, tap);
      }
  convert(packed.data(), dtype, got.data(), DType::f32, got.size());
  EXPECT_EQ(got, expected);
}

TEST(Packing, PutsEveryElementWhereTheLayoutSays) {
  for (const Layout& layout : layouts())
    for (DType dtype : {DType::f32, DType::bf16}) check(layout, dtype);
}

TEST(Packing, TakesAPieceOfTheRows) {
  const WeightShape half{20, 24, 1};
  const WeightLayout layout = weight_layout({{24, 20}, {20, 1}, {}, {}}, DType::f32, kMatrix, half);
  const auto bytes = source({40, 24, 1}, 0, 40, DType::f32);
  const std::vector<WeightPart> parts{stored_part(DType::f32, bytes)};
  const WeightRows rows(parts, 40, 24);
  std::vector<float> packed(20 * 24);
  pack_weight(layout, rows, 20, reinterpret_cast<std::byte*>(packed.data()));
  EXPECT_EQ(packed[0], value({40, 24, 1}, 20, 0, 0));
  EXPECT_EQ(packed[19], value({40, 24, 1}, 39, 0, 0));
  EXPECT_EQ(packed[20], value({40, 24, 1}, 20, 1, 0));
}

// Large weights are packed band by band. All elements that were read are given back once, in order, a band at a time.
TEST(Packing, GivesBackWhatItHasRead) {
  const WeightShape s{1000, 9000, 1};
  for (const Blocking& blocking :
       {Blocking{{9000, 1000}, {1000, 1}, {}, {}}, Blocking{{9000, 1000}, {1, 9000}, {}, {}}}) {
    const WeightLayout layout = weight_layout(blocking, DType::f32, kMatrix, s);
    const std::vector<std::byte> first(600 * 9000 * 2), second(400 * 9000 * 2);
    std::vector<std::shared_ptr<const CountingReader>> counters;
    const auto parts = counted({stored_part(DType::f16, first), stored_part(DType::bf16, second)}, counters);
    std::vector<std::byte> packed(layout.bytes());
    pack_weight(layout, WeightRows(parts, 1000, 9000), 0, packed.data());
    for (const auto& counter : counters) {
      EXPECT_EQ(counter->fault(), "");
      EXPECT_LE(counter->largest_piece(), static_cast<size_t>(kPackPiece));
    }
  }
}

// If columns are packed one part after the other, the last part gives them back.
TEST(Packing, GivesBackRowsOfTwoLayoutsOnce) {
  const WeightLayout left = weight_layout({{24, 40}, {40, 1}, {}, {}}, DType::f32, kMatrix, {40, 24, 1});
  const WeightLayout right = weight_layout({{16, 40}, {40, 1}, {}, {}}, DType::f32, kMatrix, {40, 16, 1});
  const WeightShape whole{40, 40, 1};
  const auto bytes = source(whole, 0, 40, DType::f32);
  std::vector<std::shared_ptr<const CountingReader>> counters;
  const auto parts = counted({stored_part(DType::f32, bytes)}, counters);
  std::vector<float> packed(40 * 40);
  auto* to = reinterpret_cast<std::byte*>(packed.data());
  pack_weight(left, WeightRows(parts, 40, 40), 0, to);
  EXPECT_EQ(counters[0]->largest_piece(), 0u);
  pack_weight(right, WeightRows(parts, 40, 40, 24), 0, to + left.bytes());
  EXPECT_EQ(counters[0]->fault(), "");
  EXPECT_EQ(packed[3 * 40 + 7], value(whole, 7, 3, 0));
  EXPECT_EQ(packed[(24 + 3) * 40 + 7], value(whole, 7, 24 + 3, 0));
}

TEST(Packing, NamesDifferWithTheLayout) {
  const WeightShape s{40, 24, 1};
  const auto ab = weight_layout({{24, 40}, {40, 1}, {}, {}}, DType::f32, kMatrix, s);
  const auto ba = weight_layout({{24, 40}, {1, 24}, {}, {}}, DType::f32, kMatrix, s);
  const auto half = weight_layout({{24, 40}, {40, 1}, {}, {}}, DType::bf16, kMatrix, s);
  EXPECT_NE(ab.name, ba.name);
  EXPECT_NE(ab.name, half.name);
}

TEST(Packing, RefusesPartsOfAnotherSize) {
  const std::vector<std::byte> bytes(40 * 24 * 4);
  const std::vector<WeightPart> parts{stored_part(DType::f32, bytes)};
  EXPECT_THROW(WeightRows(parts, 41, 24), Error);
  EXPECT_THROW(WeightRows(parts, 40, 25), Error);
}

}  // namespace
}  // namespace tempera
