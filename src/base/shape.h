// A shape of up to four dimensions, outermost first, always concrete. Images are (N, H, W, C), tokens (N, T, C).
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <span>
#include <string>

namespace tempera {

class Shape {
 public:
  static constexpr int kMaxRank = 4;

  Shape() = default;
  Shape(std::initializer_list<int64_t> dims);
  explicit Shape(std::span<const int64_t> dims);

  int rank() const { return rank_; }
  // Dimension i. A negative i counts from the end: [-1] is the channels.
  int64_t operator[](int i) const { return dims_[static_cast<size_t>(i < 0 ? rank_ + i : i)]; }
  void set(int i, int64_t value) { dims_[static_cast<size_t>(i < 0 ? rank_ + i : i)] = value; }
  int64_t elements() const;
  // The product of all dimensions but the last: the number of rows for a Linear or a LayerNorm.
  int64_t rows() const {
    return rank_ == 0
               ? 1
               : elements() / (dims_[static_cast<size_t>(rank_ - 1)] == 0 ? 1 : dims_[static_cast<size_t>(rank_ - 1)]);
  }
  std::span<const int64_t> dims() const { return {dims_.data(), static_cast<size_t>(rank_)}; }
  bool operator==(const Shape&) const = default;

 private:
  std::array<int64_t, kMaxRank> dims_{};
  int rank_ = 0;
};

// "2x64x64x320"; "scalar" for rank 0.
std::string to_string(const Shape& shape);

}  // namespace tempera
