#include "image/resample.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "base/error.h"
#include "base/parallel.h"

namespace tempera {
namespace {

// Of the weights. A result is at most 8 bits, and negative weights need 2 more (Pillow's Resample.c).
constexpr int kPrecisionBits = 32 - 8 - 2;
constexpr int32_t kHalf = 1 << (kPrecisionBits - 1);
constexpr int64_t kGrainBytes = 1 << 16;

uint8_t to_byte(int32_t sum) {
  return static_cast<uint8_t>(std::clamp(sum >> kPrecisionBits, 0, 255));
}

double sinc(double x) {
  if (x == 0.0) return 1.0;
  const double angle = x * std::numbers::pi;
  return std::sin(angle) / angle;
}

// The filters of Pillow's Resample.c. x: distance in pixels.
double bilinear(double x) {
  return std::max(1.0 - std::abs(x), 0.0);
}

double bicubic(double x) {  // Keys' kernel
  constexpr double a = -0.5;
  x = std::abs(x);
  if (x < 1.0) return ((a + 2.0) * x - (a + 3.0)) * x * x + 1;
  if (x < 2.0) return (((x - 5) * x + 8) * x - 4) * a;
  return 0.0;
}

double lanczos(double x) {
  return -3.0 <= x && x < 3.0 ? sinc(x) * sinc(x / 3) : 0.0;
}

struct Filter {
  double (*value)(double x);
  double support;  // value(x) is 0 where |x| is larger
};

Filter filter_of(Resampling resampling) {
  switch (resampling) {
    case Resampling::bilinear:
      return {bilinear, 1.0};
    case Resampling::bicubic:
      return {bicubic, 2.0};
    default:
      return {lanczos, 3.0};
  }
}

// For one axis: the pixels of the input that each pixel of the output is a sum of.
struct Taps {
  int most = 0;                  // weights for each pixel of the output; those after `count` are 0
  std::vector<int> first;        // of the output's pixels: the first pixel of the input
  std::vector<int> count;        // and the number of pixels
  std::vector<int32_t> weights;  // (output, most)
};

// The part from `begin` to `end` of `size` pixels as `new_size` pixels.
Taps make_taps(int size, int begin, int end, int new_size, Filter filter) {
  const double scale = static_cast<double>(end - begin) / new_size;
  const double filter_scale = std::max(scale, 1.0);
  const double inverse = 1.0 / filter_scale;
  const double support = filter.support * filter_scale;
  Taps taps{static_cast<int>(std::ceil(support)) * 2 + 1, {}, {}, {}};
  taps.weights.resize(static_cast<size_t>(new_size) * taps.most);
  std::vector<double> values(taps.most);
  for (int x = 0; x < new_size; ++x) {
    const double center = begin + (x + 0.5) * scale;
    const int first = std::max(static_cast<int>(std::lround(center - support)), 0);
    const int count = std::min(static_cast<int>(std::lround(center + support)), size) - first;
    double sum = 0.0;
    for (int i = 0; i < count; ++i) {
      values[i] = filter.value((i + first - center + 0.5) * inverse);
      sum += values[i];
    }
    for (int i = 0; i < count; ++i) {
      const double weight = (sum == 0.0 ? values[i] : values[i] / sum) * (1 << kPrecisionBits);
      taps.weights[static_cast<size_t>(x) * taps.most + i] = static_cast<int32_t>(weight + (weight < 0 ? -0.5 : 0.5));
    }
    taps.first.push_back(first);
    taps.count.push_back(count);
  }
  return taps;
}

// `rows` rows of C channels: (rows, width, C) to (rows, output of the taps, C).
template <int C>
void resample_rows(const uint8_t* from, int width, int rows, const Taps& taps, uint8_t* to) {
  const int new_width = static_cast<int>(taps.first.size());
  parallel_for(rows, kGrainBytes / std::max(width, 1), [&](int64_t begin, int64_t end) {
    for (int64_t y = begin; y < end; ++y) {
      const uint8_t* row = from + y * width * C;
      uint8_t* out = to + y * new_width * C;
      for (int x = 0; x < new_width; ++x, out += C) {
        const uint8_t* in = row + static_cast<int64_t>(taps.first[x]) * C;
        const int32_t* weights = taps.weights.data() + static_cast<int64_t>(x) * taps.most;
        std::array<int32_t, C> sums;
        sums.fill(kHalf);
        for (int i = 0; i < taps.count[x]; ++i)
          for (int c = 0; c < C; ++c) sums[c] += in[i * C + c] * weights[i];
        for (int c = 0; c < C; ++c) out[c] = to_byte(sums[c]);
      }
    }
  });
}

// Rows of `row` bytes: (height, row) to (output of the taps, row).
void resample_columns(const uint8_t* from, int64_t row, const Taps& taps, uint8_t* to) {
  constexpr int64_t kBlock = 512;  // sums of a block stay in the first cache
  parallel_for(static_cast<int64_t>(taps.first.size()), kGrainBytes / std::max<int64_t>(row, 1),
               [&](int64_t begin, int64_t end) {
                 std::array<int32_t, kBlock> sums;
                 for (int64_t y = begin; y < end; ++y) {
                   const int32_t* weights = taps.weights.data() + y * taps.most;
                   for (int64_t x = 0; x < row; x += kBlock) {
                     const int64_t length = std::min(kBlock, row - x);
                     sums.fill(kHalf);
                     for (int i = 0; i < taps.count[y]; ++i) {
                       const uint8_t* in = from + (taps.first[y] + i) * row + x;
                       const int32_t weight = weights[i];
                       for (int64_t k = 0; k < length; ++k) sums[k] += in[k] * weight;
                     }
                     for (int64_t k = 0; k < length; ++k) to[y * row + x + k] = to_byte(sums[k]);
                   }
                 }
               });
}

// The pixel of the input under the centre of each pixel of the output. Pillow adds up the positions, so this function
// does the same.
std::vector<int> nearest_pixels(int size, int begin, int end, int new_size) {
  const double scale = static_cast<double>(end - begin) / new_size;
  std::vector<int> pixels(new_size);
  double at = begin + scale * 0.5;
  for (int& pixel : pixels) {
    pixel = std::min(static_cast<int>(at), size - 1);
    at += scale;
  }
  return pixels;
}

std::vector<uint8_t> nearest(std::span<const uint8_t> bytes, int width, int channels, const std::vector<int>& columns,
                             const std::vector<int>& rows) {
  std::vector<uint8_t> result;
  result.reserve(rows.size() * columns.size() * channels);
  for (const int y : rows) {
    for (const int x : columns) {
      const uint8_t* pixel = bytes.data() + (static_cast<int64_t>(y) * width + x) * channels;
      result.insert(result.end(), pixel, pixel + channels);
    }
  }
  return result;
}
}  // namespace

std::vector<uint8_t> resample(std::span<const uint8_t> bytes, int width, int height, int channels, int new_width,
                              int new_height, Resampling filter, std::optional<PixelBox> box) {
  const auto [left, top, right, bottom] = box.value_or(PixelBox{0, 0, width, height});
  TEMPERA_ASSERT(channels == 1 || channels == 3);
  TEMPERA_ASSERT(bytes.size() == static_cast<size_t>(width) * height * channels);
  TEMPERA_ASSERT(width > 0 && height > 0 && new_width > 0 && new_height > 0);
  TEMPERA_ASSERT(0 <= left && left <= right && right <= width && 0 <= top && top <= bottom && bottom <= height);
  if (filter == Resampling::nearest) {
    return nearest(bytes, width, channels, nearest_pixels(width, left, right, new_width),
                   nearest_pixels(height, top, bottom, new_height));
  }
  std::vector<uint8_t> result(bytes.begin(), bytes.end());
  if (left != 0 || right != new_width || width != new_width) {
    const Taps taps = make_taps(width, left, right, new_width, filter_of(filter));
    std::vector<uint8_t> rows(static_cast<size_t>(new_width) * height * channels);
    (channels == 1 ? resample_rows<1> : resample_rows<3>)(result.data(), width, height, taps, rows.data());
    result = std::move(rows);
  }
  if (top != 0 || bottom != new_height || height != new_height) {
    const Taps taps = make_taps(height, top, bottom, new_height, filter_of(filter));
    std::vector<uint8_t> columns(static_cast<size_t>(new_width) * new_height * channels);
    resample_columns(result.data(), static_cast<int64_t>(new_width) * channels, taps, columns.data());
    result = std::move(columns);
  }
  return result;
}

Image8 resample(const Image8& image, int new_width, int new_height, Resampling filter, std::optional<PixelBox> box) {
  return {new_width, new_height, resample(image.rgb, image.width, image.height, 3, new_width, new_height, filter, box)};
}

}  // namespace tempera
