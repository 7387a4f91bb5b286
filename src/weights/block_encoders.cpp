// The encoders. Types without K take scale and minimum from the extremes of 32 values. K types choose them by least
// squares: several first guesses of the scale round the values to numbers, the best scale (and minimum) for these
// numbers follows from the weighted normal equations, and the guess with the smallest error is used. The order of the
// float operations is that of ggml, because another order would give other bytes.
#include "weights/block_encoders.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <span>
#include <string_view>

#include "base/half.h"

namespace tempera {
namespace {

constexpr int kSmall = 32;   // elements of a block of the types without K
constexpr int kLarge = 256;  // of a block of the K types

void put_half(std::byte* to, float value) {
  const f16 half = to_f16(value);
  std::memcpy(to, &half, sizeof half);
}

float as_stored(float value) {
  return to_float(to_f16(value));
}

// To the nearest, ties to even: the sum has no room for a fraction. |x| is below 2^22. Faster than std::nearbyint.
int nearest(float x) {
  constexpr float kShift = 0x1.8p23f;
  return static_cast<int>(x + kShift - kShift);
}

float inverse(float x) {
  return x != 0 ? 1.0f / x : 0.0f;
}

// Numbers of four or five bits, after d and, if there is one, the minimum: see decode_small in block_types.cpp.
void put_small(const std::array<int, kSmall>& numbers, bool fifth_bit, std::byte* to) {
  if (fifth_bit) {
    uint32_t fifth = 0;
    for (int i = 0; i < kSmall; ++i) fifth |= static_cast<uint32_t>(numbers[i] >> 4 & 1) << i;
    std::memcpy(to, &fifth, sizeof fifth);
    to += sizeof fifth;
  }
  for (int i = 0; i < kSmall / 2; ++i)
    to[i] = static_cast<std::byte>((numbers[i] & 15) | (numbers[i + kSmall / 2] & 15) << 4);
}

// Q4_0, Q5_0: the value with the largest magnitude becomes the most negative number.
template <bool kFifthBit>
void encode_symmetric(const float* x, std::byte* block) {
  constexpr int kMiddle = kFifthBit ? 16 : 8;
  float largest = 0;
  for (int i = 0; i < kSmall; ++i)
    if (std::abs(x[i]) > std::abs(largest)) largest = x[i];
  const float d = largest / -kMiddle, factor = inverse(d);
  std::array<int, kSmall> numbers;
  for (int i = 0; i < kSmall; ++i)
    numbers[i] = std::min(2 * kMiddle - 1, static_cast<int>(x[i] * factor + (kMiddle + 0.5f)));
  put_half(block, d);
  put_small(numbers, kFifthBit, block + 2);
}

// Q4_1, Q5_1: from the least value to the largest.
template <bool kFifthBit>
void encode_range(const float* x, std::byte* block) {
  constexpr int kLargest = kFifthBit ? 31 : 15;
  const auto [least, largest] = std::minmax_element(x, x + kSmall);
  const float d = (*largest - *least) / kLargest, factor = inverse(d);
  std::array<int, kSmall> numbers;
  for (int i = 0; i < kSmall; ++i)
    numbers[i] = std::min(kLargest, static_cast<int>(std::floor((x[i] - *least) * factor + 0.5f)));
  put_half(block, d);
  put_half(block + 2, *least);
  put_small(numbers, kFifthBit, block + 4);
}

void encode_q8_0(const float* x, std::byte* block) {
  float largest = 0;
  for (int i = 0; i < kSmall; ++i) largest = std::max(largest, std::abs(x[i]));
  const float d = largest / 127, factor = inverse(d);
  put_half(block, d);
  for (int i = 0; i < kSmall; ++i)
    block[2 + i] = static_cast<std::byte>(static_cast<int8_t>(std::round(x[i] * factor)));
}

// A group of 32 values as scale * number - least.
struct Group {
  float scale = 0, least = 0;  // least is 0 or more
  std::array<uint8_t, 32> numbers{};
};

// The search of Q4_K and Q5_K: guesses of the inverse scale are (largest + first + 0.1 i) / range, for i up to `steps`.
// The range begins at the minimum of the best guess so far.
struct Search {
  int largest;  // number
  float first;
  int steps;
};

Group fit_group(const float* x, const Search& search) {
  constexpr int kCount = 32;
  float squares = 0;
  for (int i = 0; i < kCount; ++i) squares += x[i] * x[i];
  const float deviation = std::sqrt(squares / kCount);
  std::array<float, kCount> weights;
  for (int i = 0; i < kCount; ++i) weights[i] = deviation + std::abs(x[i]);
  float sum_w = weights[0], sum_x = sum_w * x[0];
  for (int i = 1; i < kCount; ++i) {
    sum_w += weights[i];
    sum_x += weights[i] * x[i];
  }
  const float max = *std::max_element(x, x + kCount);
  Group best;
  best.least = -std::min(*std::min_element(x, x + kCount), 0.0f);
  if (max == -best.least) return best;

  const auto number = [&](float factor, float value) {
    return static_cast<uint8_t>(std::clamp(nearest(factor * (value + best.least)), 0, search.largest));
  };
  const auto error_of = [&](const Group& group) {
    float error = 0;
    for (int i = 0; i < kCount; ++i) {
      const float difference = group.scale * group.numbers[i] - group.least - x[i];
      error += weights[i] * (difference * difference);
    }
    return error;
  };
  const float first_factor = static_cast<float>(search.largest) / (max + best.least);
  best.scale = 1 / first_factor;
  for (int i = 0; i < kCount; ++i) best.numbers[i] = number(first_factor, x[i]);
  float best_error = error_of(best);
  for (int step = 0; step <= search.steps; ++step) {
    const float factor =
        (search.first + 0.1f * static_cast<float>(step) + static_cast<float>(search.largest)) / (max + best.least);
    Group group;
    float sum_n = 0, sum_nn = 0, sum_nx = 0;
    for (int i = 0; i < kCount; ++i) {
      group.numbers[i] = number(factor, x[i]);
      const auto n = static_cast<float>(group.numbers[i]);
      sum_n += weights[i] * n;
      sum_nn += weights[i] * n * n;
      sum_nx += weights[i] * n * x[i];
    }
    const float determinant = sum_w * sum_nn - sum_n * sum_n;
    if (!(determinant > 0)) continue;
    group.scale = (sum_w * sum_nx - sum_x * sum_n) / determinant;
    float minimum = (sum_nn * sum_x - sum_n * sum_nx) / determinant;
    if (minimum > 0) {  // the format has none above 0
      minimum = 0;
      group.scale = sum_nx / sum_nn;
    }
    group.least = -minimum;
    const float error = error_of(group);
    if (error < best_error) {
      best = group;
      best_error = error;
    }
  }
  return best;
}

// The inverse of scale_and_minimum in block_types.cpp.
void put_scales(const std::array<int, 8>& scales, const std::array<int, 8>& minima, std::byte* to) {
  for (int i = 0; i < 4; ++i) {
    to[i] = static_cast<std::byte>(scales[i] | scales[i + 4] >> 4 << 6);
    to[i + 4] = static_cast<std::byte>(minima[i] | minima[i + 4] >> 4 << 6);
    to[i + 8] = static_cast<std::byte>((scales[i + 4] & 15) | (minima[i + 4] & 15) << 4);
  }
}

// Q4_K, Q5_K: the scales and minima of the groups are rounded to six bits, then the values to the nearest numbers.
template <bool kFifthBit>
void encode_q4_or_q5_k(const float* x, std::byte* block) {
  constexpr Search kSearch = kFifthBit ? Search{31, -0.5f, 15} : Search{15, -1.0f, 20};
  constexpr int kGroups = 8, kCount = 32, kMost = 63;
  std::array<Group, kGroups> groups;
  float largest_scale = 0, largest_least = 0;
  for (int g = 0; g < kGroups; ++g) {
    groups[g] = fit_group(x + g * kCount, kSearch);
    largest_scale = std::max(largest_scale, groups[g].scale);
    largest_least = std::max(largest_least, groups[g].least);
  }
  const float scale_factor = largest_scale > 0 ? kMost / largest_scale : 0;
  const float least_factor = largest_least > 0 ? kMost / largest_least : 0;
  std::array<int, kGroups> scales, minima;
  for (int g = 0; g < kGroups; ++g) {
    scales[g] = std::min(kMost, nearest(scale_factor * groups[g].scale));
    minima[g] = std::min(kMost, nearest(least_factor * groups[g].least));
  }
  put_half(block, largest_scale / kMost);
  put_half(block + 2, largest_least / kMost);
  put_scales(scales, minima, block + 4);
  for (int g = 0; g < kGroups; ++g) {
    const float scale = as_stored(largest_scale / kMost) * static_cast<float>(scales[g]);
    if (scale == 0) continue;  // the numbers have no effect
    const float least = as_stored(largest_least / kMost) * static_cast<float>(minima[g]);
    for (int i = 0; i < kCount; ++i)
      groups[g].numbers[i] =
          static_cast<uint8_t>(std::clamp(nearest((x[g * kCount + i] + least) / scale), 0, kSearch.largest));
  }
  std::byte* numbers = block + 16;
  if (kFifthBit) {
    for (int i = 0; i < kCount; ++i) {
      int bits = 0;
      for (int g = 0; g < kGroups; ++g) bits |= (groups[g].numbers[i] >> 4) << g;
      numbers[i] = static_cast<std::byte>(bits);
    }
    numbers += kCount;
  }
  for (int g = 0; g < kGroups; g += 2)
    for (int i = 0; i < kCount; ++i)
      *numbers++ = static_cast<std::byte>((groups[g].numbers[i] & 15) | (groups[g + 1].numbers[i] & 15) << 4);
}

constexpr float kZero = 1e-15f;  // ggml: a group of smaller values is one of zeros

// The scale of 16 values of Q6_K, whose numbers are -32 to 31. Weights are the squares of the values.
float fit_signed(const float* x, std::array<int, kLarge>& numbers, int first) {
  constexpr int kCount = 16, kMiddle = 32;
  float largest = 0;
  for (int i = 0; i < kCount; ++i)
    if (std::abs(x[i]) > std::abs(largest)) largest = x[i];
  std::fill_n(numbers.begin() + first, kCount, 0);
  if (std::abs(largest) < kZero) return 0;
  const auto number = [&](float factor, float value) {
    return std::clamp(nearest(factor * value), -kMiddle, kMiddle - 1);
  };
  float scale = 0, best = 0;
  for (const int step : {0, -9, -8, -7, -6, -5, -4, -3, -2, -1, 1, 2, 3, 4, 5, 6, 7, 8, 9}) {
    const float factor = -(kMiddle + 0.1f * static_cast<float>(step)) / largest;
    float sum_nx = 0, sum_nn = 0;
    for (int i = 0; i < kCount; ++i) {
      const auto n = static_cast<float>(number(factor, x[i]));
      const float w = x[i] * x[i];
      sum_nx += w * x[i] * n;
      sum_nn += w * n * n;
    }
    const bool is_first = step == 0;
    if (!is_first && !(sum_nn > 0 && sum_nx * sum_nx > best * sum_nn)) continue;
    for (int i = 0; i < kCount; ++i) numbers[first + i] = number(factor, x[i]) + kMiddle;
    scale = sum_nn != 0 ? sum_nx / sum_nn : 0;
    best = scale * sum_nx;
  }
  return scale;
}

void encode_q6_k(const float* x, std::byte* block) {
  constexpr int kGroups = 16, kCount = 16, kMiddle = 32;
  std::array<int, kLarge> numbers;
  std::array<float, kGroups> scales;
  float largest = 0;
  for (int g = 0; g < kGroups; ++g) {
    scales[g] = fit_signed(x + g * kCount, numbers, g * kCount);
    if (std::abs(scales[g]) > std::abs(largest)) largest = scales[g];
  }
  std::fill_n(block, 210, std::byte{0});
  if (std::abs(largest) < kZero) return;
  const float factor = -128.0f / largest;
  put_half(block + 208, 1 / factor);
  for (int g = 0; g < kGroups; ++g) {
    const int stored = std::min(127, nearest(factor * scales[g]));
    block[192 + g] = static_cast<std::byte>(stored);
    const float scale = as_stored(1 / factor) * static_cast<float>(stored);
    if (scale == 0) continue;
    for (int i = g * kCount; i < (g + 1) * kCount; ++i)
      numbers[i] = std::clamp(nearest(x[i] / scale), -kMiddle, kMiddle - 1) + kMiddle;
  }
  for (int half = 0; half < 2; ++half) {
    const int* n = numbers.data() + half * 128;
    for (int i = 0; i < 64; ++i) block[half * 64 + i] = static_cast<std::byte>((n[i] & 15) | (n[i + 64] & 15) << 4);
    for (int i = 0; i < 32; ++i)
      block[128 + half * 32 + i] =
          static_cast<std::byte>(n[i] >> 4 | n[i + 32] >> 4 << 2 | n[i + 64] >> 4 << 4 | n[i + 96] >> 4 << 6);
  }
}

struct Encoder {
  std::string_view name;
  EncodeBlock encode;
};
constexpr std::array kEncoders = {
    Encoder{"Q4_0", encode_symmetric<false>},
    Encoder{"Q4_1", encode_range<false>},
    Encoder{"Q5_0", encode_symmetric<true>},
    Encoder{"Q5_1", encode_range<true>},
    Encoder{"Q8_0", encode_q8_0},
    Encoder{"Q4_K", encode_q4_or_q5_k<false>},
    Encoder{"Q5_K", encode_q4_or_q5_k<true>},
    Encoder{"Q6_K", encode_q6_k},
};
}  // namespace

EncodeBlock block_encoder(const BlockType& type) {
  const auto* at = std::ranges::find(kEncoders, type.name, &Encoder::name);
  return at == kEncoders.end() ? nullptr : at->encode;
}

}  // namespace tempera
