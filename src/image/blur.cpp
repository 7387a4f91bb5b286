#include "image/blur.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <vector>

#include "base/error.h"
#include "base/parallel.h"

namespace tempera {
namespace {

constexpr int kPasses = 3;
constexpr int kLanes = 64;  // sequences that are blurred at once, so that the compiler can use vectors

// A box of 2 radius + 1 pixels with the weight `inner` and one more pixel at each end with the weight `outer`, in units
// of 2^-24 (Gwosdek et al., "Theoretical Foundations of Gaussian Convolution by Extended Box Filtering", 2011).
struct Box {
  int radius;
  uint32_t inner, outer;
};

// The box whose blur, repeated kPasses times, has the standard deviation `sigma`. The types are those of Pillow's
// BoxBlur.c, because they decide how the results are rounded.
Box make_box(float sigma) {
  const float variance = sigma * sigma / kPasses;
  const float length = static_cast<float>(std::sqrt(12.0 * variance + 1.0));
  const float whole = static_cast<float>(std::floor((length - 1.0) / 2.0));
  float fraction = (2 * whole + 1) * (whole * (whole + 1) - 3 * variance);
  fraction /= 6 * (variance - (whole + 1) * (whole + 1));
  const float radius = whole + fraction;
  const int inner_radius = static_cast<int>(radius);
  const auto inner = static_cast<uint32_t>(static_cast<float>(1 << 24) / (radius * 2 + 1));
  return {inner_radius, inner, ((1U << 24) - (inner_radius * 2 + 1) * inner) / 2};
}

using Row = std::array<uint8_t, kLanes>;

// Blurs the columns of `from` once.
void blur_once(const std::vector<Row>& from, std::vector<Row>& to, Box box) {
  const int last = static_cast<int>(from.size()) - 1;
  const auto at = [&](int64_t i) -> const Row& { return from[std::clamp<int64_t>(i, 0, last)]; };
  std::array<uint32_t, kLanes> sums{};  // of the box around the pixel before the first
  for (int64_t i = -1 - int64_t{box.radius}; i < box.radius; ++i)
    for (int lane = 0; lane < kLanes; ++lane) sums[lane] += at(i)[lane];
  for (int64_t i = 0; i <= last; ++i) {
    const Row& before = at(i - box.radius - 1);
    const Row& end = at(i + box.radius);
    const Row& after = at(i + box.radius + 1);
    for (int lane = 0; lane < kLanes; ++lane) {
      sums[lane] += end[lane];
      sums[lane] -= before[lane];
      const uint32_t sum = sums[lane] * box.inner + (uint32_t{before[lane]} + after[lane]) * box.outer;
      to[i][lane] = static_cast<uint8_t>((sum + (1U << 23)) >> 24);
    }
  }
}

// Blurs `lanes` sequences of `length` bytes. The bytes of a sequence are `step` bytes apart, the sequences `lane_step`.
void blur_sequences(uint8_t* bytes, int length, int64_t step, int64_t lanes, int64_t lane_step, Box box) {
  parallel_for((lanes + kLanes - 1) / kLanes, 1, [&](int64_t begin, int64_t end) {
    std::vector<Row> rows(length), blurred(length);
    for (int64_t group = begin; group < end; ++group) {
      uint8_t* first = bytes + group * kLanes * lane_step;
      const int64_t used = std::min<int64_t>(kLanes, lanes - group * kLanes);
      for (int i = 0; i < length; ++i)
        for (int64_t lane = 0; lane < used; ++lane) rows[i][lane] = first[i * step + lane * lane_step];
      for (int pass = 0; pass < kPasses; ++pass) {
        blur_once(rows, blurred, box);
        std::swap(rows, blurred);
      }
      for (int i = 0; i < length; ++i)
        for (int64_t lane = 0; lane < used; ++lane) first[i * step + lane * lane_step] = rows[i][lane];
    }
  });
}
}  // namespace

void gaussian_blur(std::span<uint8_t> bytes, int width, int height, int channels, float radius) {
  TEMPERA_ASSERT(width > 0 && height > 0 && bytes.size() == static_cast<size_t>(width) * height * channels);
  if (radius == 0) return;
  const Box box = make_box(radius);
  const int64_t row = static_cast<int64_t>(width) * channels;
  for (int c = 0; c < channels; ++c) blur_sequences(bytes.data() + c, width, channels, height, row, box);
  blur_sequences(bytes.data(), height, row, row, 1, box);
}

}  // namespace tempera
