// The k-th smallest of many numbers without memory of their number: by the digits of their bits, highest first.
#pragma once

#include <array>
#include <bit>
#include <cstdint>

namespace tempera {

// The number with `rank` smaller ones (0: the smallest) among value(0) ... value(count - 1), which are f32 and not
// negative, so that they are in the order of their bits. A NaN is above all others. `value` is called four times for
// each.
template <class Value>
float order_statistic(int64_t count, int64_t rank, const Value& value) {
  constexpr int kDigitBits = 8;
  uint32_t prefix = 0, known = 0;
  for (int shift = 32 - kDigitBits; shift >= 0; shift -= kDigitBits) {
    std::array<int64_t, 1 << kDigitBits> with_digit{};
    for (int64_t i = 0; i < count; ++i) {
      const auto bits = std::bit_cast<uint32_t>(value(i));
      if ((bits & known) == prefix) ++with_digit[(bits >> shift) & (with_digit.size() - 1)];
    }
    uint32_t digit = 0;
    while (rank >= with_digit[digit]) rank -= with_digit[digit++];
    prefix |= digit << shift;
    known |= static_cast<uint32_t>(with_digit.size() - 1) << shift;
  }
  return std::bit_cast<float>(prefix);
}

}  // namespace tempera
