// The decoders. In all layouts the elements of a block are in groups with a scale each. A group's small numbers are
// neighbours, and several groups share bytes: one has the lower bits, another the upper ones.
#include "weights/block_types.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

#include "base/error.h"
#include "base/half.h"

namespace tempera {
namespace {

constexpr size_t kLargestBlock = 256;  // elements
constexpr int kSmall = 32;             // elements of a block of the types without K
constexpr int kHalf = 128;             // elements of half a block of a K type

uint8_t byte_at(const std::byte* bytes, int i) {
  return std::to_integer<uint8_t>(bytes[i]);
}

float half_at(const std::byte* bytes) {
  f16 value;
  std::memcpy(&value, bytes, sizeof value);
  return to_float(value);
}

// Q4_0, Q4_1, Q5_0, Q5_1: d, then the minimum if there is one, then the fifth bits if there are any (one 32-bit
// number), then 16 bytes. Byte i has the lower bits of the elements i and i + 16.
template <bool kMinimum, bool kFifthBit>
void decode_small(const std::byte* block, float* values) {
  const float d = half_at(block);
  const float least = kMinimum ? half_at(block + 2) : 0;
  const std::byte* rest = block + (kMinimum ? 4 : 2);
  uint32_t fifth = 0;
  if (kFifthBit) {
    std::memcpy(&fifth, rest, sizeof fifth);
    rest += sizeof fifth;
  }
  constexpr int kMiddle = kMinimum ? 0 : (kFifthBit ? 16 : 8);
  for (int i = 0; i < kSmall; ++i) {
    const int lower = i < kSmall / 2 ? byte_at(rest, i) & 15 : byte_at(rest, i - kSmall / 2) >> 4;
    const int number = lower | static_cast<int>(fifth >> i & 1u) << 4;
    values[i] = static_cast<float>(number - kMiddle) * d + least;
  }
}

void decode_q8_0(const std::byte* block, float* values) {
  const float d = half_at(block);
  for (int i = 0; i < kSmall; ++i) values[i] = static_cast<float>(static_cast<int8_t>(byte_at(block, 2 + i))) * d;
}

// 16 groups of 16. Scales (lower four bits) and minima (upper ones) 16 bytes, numbers 64 bytes, d, d of the minima.
// Byte i of a half's 32 bytes has the numbers of its elements i, 32 + i, 64 + i, 96 + i, two bits each.
void decode_q2_k(const std::byte* block, float* values) {
  const float d = half_at(block + 80), d_least = half_at(block + 82);
  for (int group = 0; group < 16; ++group) {
    const uint8_t scales = byte_at(block, group);
    const float scale = d * static_cast<float>(scales & 15), least = d_least * static_cast<float>(scales >> 4);
    const std::byte* numbers = block + 16 + group / 8 * 32 + group % 2 * 16;
    const int shift = group % 8 / 2 * 2;
    for (int i = 0; i < 16; ++i)
      values[group * 16 + i] = scale * static_cast<float>(byte_at(numbers, i) >> shift & 3) - least;
  }
}

// 16 groups of 16. Third bits 32 bytes, lower two bits 64 bytes as in Q2_K, scales of 6 bits 12 bytes, d. Bit k of byte
// i of the third bits belongs to element 32 k + i; a number without it is lower by 4.
void decode_q3_k(const std::byte* block, float* values) {
  const float d = half_at(block + 108);
  const std::byte* scales = block + 96;
  for (int group = 0; group < 16; ++group) {
    const int lower = group < 8 ? byte_at(scales, group) & 15 : byte_at(scales, group - 8) >> 4;
    const int upper = byte_at(scales, 8 + group % 4) >> group / 4 * 2 & 3;
    const float scale = d * static_cast<float>((lower | upper << 4) - 32);
    const int place = group % 2 * 16;
    const std::byte* numbers = block + 32 + group / 8 * 32 + place;
    const int shift = group % 8 / 2 * 2;
    for (int i = 0; i < 16; ++i) {
      const int third = byte_at(block, place + i) >> group / 2 & 1;
      values[group * 16 + i] = scale * static_cast<float>((byte_at(numbers, i) >> shift & 3) - (third != 0 ? 0 : 4));
    }
  }
}

// The scale and the minimum of a group of Q4_K and Q5_K: 6 bits each, in 12 bytes.
std::pair<int, int> scale_and_minimum(const std::byte* bytes, int group) {
  if (group < 4) return {byte_at(bytes, group) & 63, byte_at(bytes, group + 4) & 63};
  const uint8_t lower = byte_at(bytes, group + 4);
  return {(lower & 15) | byte_at(bytes, group - 4) >> 6 << 4, lower >> 4 | byte_at(bytes, group) >> 6 << 4};
}

// 8 groups of 32. d, d of the minima, scales and minima 12 bytes; in Q5_K the fifth bits, 32 bytes: bit k of byte i for
// element 32 k + i; lower four bits 128 bytes: of 32 bytes the lower halves are one group, the upper halves the next.
template <bool kFifthBit>
void decode_q4_or_q5_k(const std::byte* block, float* values) {
  const float d = half_at(block), d_least = half_at(block + 2);
  const std::byte* fifth = block + 16;
  const std::byte* numbers = block + 16 + (kFifthBit ? 32 : 0);
  for (int group = 0; group < 8; ++group) {
    const auto [s, m] = scale_and_minimum(block + 4, group);
    const float scale = d * static_cast<float>(s), least = d_least * static_cast<float>(m);
    for (int i = 0; i < 32; ++i) {
      int number = byte_at(numbers, group / 2 * 32 + i) >> group % 2 * 4 & 15;
      if (kFifthBit) number |= (byte_at(fifth, i) >> group & 1) << 4;
      values[group * 32 + i] = scale * static_cast<float>(number) - least;
    }
  }
}

// 16 groups of 16. Lower four bits 128 bytes, upper two bits 64 bytes, scales of 8 bits 16 bytes, d. In a half, the
// elements 0 to 63 have the lower halves of its 64 bytes, the others the upper halves; byte i of its 32 bytes of upper
// bits has those of the elements i, 32 + i, 64 + i, 96 + i.
void decode_q6_k(const std::byte* block, float* values) {
  const float d = half_at(block + 208);
  for (int group = 0; group < 16; ++group) {
    const float scale = d * static_cast<float>(static_cast<int8_t>(byte_at(block, 192 + group)));
    const int in_half = group * 16 % kHalf;
    const std::byte* lower = block + group / 8 * 64 + in_half % 64;
    const std::byte* upper = block + 128 + group / 8 * 32 + in_half % 32;
    const int lower_shift = in_half / 64 * 4, upper_shift = in_half / 32 * 2;
    for (int i = 0; i < 16; ++i) {
      const int number = (byte_at(lower, i) >> lower_shift & 15) | (byte_at(upper, i) >> upper_shift & 3) << 4;
      values[group * 16 + i] = scale * static_cast<float>(number - 32);
    }
  }
}

struct NumberedType {
  uint32_t number;
  BlockType type;
};
constexpr std::array kTypes = {
    NumberedType{2, {"Q4_0", 32, 18, decode_small<false, false>}},
    NumberedType{3, {"Q4_1", 32, 20, decode_small<true, false>}},
    NumberedType{6, {"Q5_0", 32, 22, decode_small<false, true>}},
    NumberedType{7, {"Q5_1", 32, 24, decode_small<true, true>}},
    NumberedType{8, {"Q8_0", 32, 34, decode_q8_0}},
    NumberedType{10, {"Q2_K", 256, 84, decode_q2_k}},
    NumberedType{11, {"Q3_K", 256, 110, decode_q3_k}},
    NumberedType{12, {"Q4_K", 256, 144, decode_q4_or_q5_k<false>}},
    NumberedType{13, {"Q5_K", 256, 176, decode_q4_or_q5_k<true>}},
    NumberedType{14, {"Q6_K", 256, 210, decode_q6_k}},
};
}  // namespace

const BlockType* ggml_block_type(uint32_t number) {
  const auto* at = std::ranges::find(kTypes, number, &NumberedType::number);
  return at == kTypes.end() ? nullptr : &at->type;
}

uint32_t ggml_number(const BlockType& type) {
  const auto* at = std::ranges::find_if(kTypes, [&](const NumberedType& row) { return row.type.name == type.name; });
  TEMPERA_ASSERT(at != kTypes.end());
  return at->number;
}

const BlockType& block_type(std::string_view name) {
  const auto* at = std::ranges::find_if(kTypes, [&](const NumberedType& row) { return row.type.name == name; });
  TEMPERA_ASSERT(at != kTypes.end());
  return at->type;
}

BlockElements::BlockElements(const BlockType& type, std::span<const std::byte> bytes, std::shared_ptr<const void> owner,
                             Release release)
    : type_(type), bytes_(bytes), owner_(std::move(owner)), release_(std::move(release)) {}

void BlockElements::read_block(const ElementBlock& block, DType to, std::byte* destination, size_t pitch) const {
  if (block.rows == 0 || block.columns == 0) return;
  const size_t elements = bytes_.size() / type_.bytes * type_.elements;
  TEMPERA_ASSERT(block.first + (block.rows - 1) * block.stride + block.columns <= elements);
  for (size_t r = 0; r < block.rows; ++r)
    read_run(block.first + r * block.stride, block.columns, to, destination + r * pitch);
}

void BlockElements::read_run(size_t first, size_t n, DType to, std::byte* destination) const {
  std::array<float, kLargestBlock> values;
  while (n > 0) {
    const size_t skip = first % type_.elements, count = std::min(n, type_.elements - skip);
    type_.decode(bytes_.data() + first / type_.elements * type_.bytes, values.data());
    convert(values.data() + skip, DType::f32, destination, to, count);
    first += count;
    n -= count;
    destination += count * size_of(to);
  }
}

void BlockElements::done(size_t first, size_t n) const noexcept {
  if (!release_ || n == 0) return;
  const size_t begin = first / type_.elements, end = (first + n + type_.elements - 1) / type_.elements;
  release_(bytes_.subspan(begin * type_.bytes, (end - begin) * type_.bytes));
}

}  // namespace tempera
