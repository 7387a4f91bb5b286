// Products of small matrices in float32: the arithmetic of low-rank adapters. Each element of a product is one sum over
// the rank, always in the same order and with the same operations. So a value does not depend on the piece of the
// matrix in which it is computed.
#pragma once

#include <algorithm>
#include <cstddef>
#include <span>
#include <string_view>
#include <vector>

namespace tempera {

// A matrix (rank, columns) as the right factor of products. It is stored in panels of 32 columns, so a product reads
// memory in order. The last panel is filled up with zeros.
class Panels {
 public:
  static constexpr size_t kWidth = 32;

  Panels(size_t rank, size_t columns)
      : rank_(rank), columns_(columns), values_((columns + kWidth - 1) / kWidth * kWidth * rank) {}

  // From values in row-major order.
  Panels(const std::vector<float>& values, size_t rank, size_t columns) : Panels(rank, columns) {
    for (size_t k = 0; k < rank; ++k)
      for (size_t c = 0; c < columns; c += kWidth)
        std::copy_n(values.data() + k * columns + c, std::min(kWidth, columns - c), &at(k, c));
  }

  size_t rank() const { return rank_; }
  size_t columns() const { return columns_; }
  float& at(size_t k, size_t column) { return values_[(column / kWidth * rank_ + k) * kWidth + column % kWidth]; }
  const float* panel(size_t index) const { return values_.data() + index * rank_ * kWidth; }

 private:
  size_t rank_, columns_;
  std::vector<float> values_;
};

// values(r, c) += factor * sum over k of left(r, k) * panel(k, c), for `rows` rows and Panels::kWidth columns. Pitches
// are in elements.
struct ProductKernel {
  std::string_view name;
  void (*run)(const float* left, size_t left_pitch, size_t rows, const float* panel, size_t rank, float factor,
              float* values, size_t pitch);
};

// The kernels that this processor runs, the fastest first: AVX-512, AVX2 with FMA, plain C++. All use fused
// multiply-add, with the same bits. The exception is plain C++ on x86-64, which also rounds each product, because fused
// operations in software are slow. It is the only kernel of processors without AVX2.
std::span<const ProductKernel> product_kernels();

// values(r, c) += factor * (left . right)(r, first_column + c) with the fastest kernel. left: (rows, right.rank()).
void add_product(const float* left, size_t left_pitch, size_t rows, const Panels& right, size_t first_column,
                 size_t columns, float factor, float* values, size_t pitch);

}  // namespace tempera
