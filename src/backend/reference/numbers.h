// Tensors of any floating-point dtype as numbers. Reading gives the exact value, writing rounds to nearest even.
#pragma once

#include <cmath>
#include <numbers>
#include <vector>

#include "backend/backend.h"
#include "base/half.h"

namespace tempera::reference {

// The dense elements of an input.
class Numbers {
 public:
  Numbers(const std::byte* data, DType dtype) : data_(data), dtype_(dtype) {}
  double operator[](int64_t i) const {
    switch (dtype_) {
      case DType::f16:
        return to_float(reinterpret_cast<const f16*>(data_)[i]);
      case DType::bf16:
        return to_float(reinterpret_cast<const bf16*>(data_)[i]);
      default:
        return reinterpret_cast<const float*>(data_)[i];
    }
  }

 private:
  const std::byte* data_;
  DType dtype_;
};

// The nearest value of type `dtype`.
inline double round_to(DType dtype, double x) {
  const auto f = static_cast<float>(x);
  switch (dtype) {
    case DType::f16:
      return to_float(to_f16(f));
    case DType::bf16:
      return to_float(to_bf16(f));
    default:
      return f;
  }
}

// The dense elements of an output.
class Result {
 public:
  Result(std::byte* data, DType dtype) : data_(data), dtype_(dtype) {}
  void set(int64_t i, double x) const {
    const auto f = static_cast<float>(x);
    switch (dtype_) {
      case DType::f16:
        reinterpret_cast<f16*>(data_)[i] = to_f16(f);
        break;
      case DType::bf16:
        reinterpret_cast<bf16*>(data_)[i] = to_bf16(f);
        break;
      default:
        reinterpret_cast<float*>(data_)[i] = f;
    }
  }

 private:
  std::byte* data_;
  DType dtype_;
};

inline Numbers numbers(const Problem& p, const Binding& b, size_t input) {
  return {b.inputs[input], p.inputs[input].dtype};
}
inline Result result(const Problem& p, const Binding& b) {
  return {b.output, p.output.dtype};
}

// An input of a product as f32, which holds every dtype exactly. Its memory is allocated when the launch is bound.
class Operand {
 public:
  Operand(const Problem& p, const Binding& b, size_t input)
      : data_(b.inputs[input]),
        dtype_(p.inputs[input].dtype),
        values_(static_cast<size_t>(p.inputs[input].shape.elements())) {}
  // Reads the current input.
  const float* load() {
    convert(data_, dtype_, values_.data(), DType::f32, values_.size());
    return values_.data();
  }
  int64_t elements() const { return static_cast<int64_t>(values_.size()); }

 private:
  const std::byte* data_;
  DType dtype_;
  std::vector<float> values_;
};

// In double, where every product of two floats is exact. Four sums, so that additions do not depend on each other.
inline double dot(const float* a, const float* b, int64_t n) {
  double sum[4] = {};
  int64_t i = 0;
  for (; i + 4 <= n; i += 4)
    for (int64_t k = 0; k < 4; ++k) sum[k] += static_cast<double>(a[i + k]) * static_cast<double>(b[i + k]);
  for (; i < n; ++i) sum[0] += static_cast<double>(a[i]) * static_cast<double>(b[i]);
  return (sum[0] + sum[1]) + (sum[2] + sum[3]);
}

inline double sigmoid(double x) {
  return 1 / (1 + std::exp(-x));
}
inline double gelu(double x) {
  return 0.5 * x * (1 + std::erf(x / std::numbers::sqrt2));
}
inline double apply(Activation kind, double x) {
  switch (kind) {
    case Activation::silu:
      return x * sigmoid(x);
    case Activation::gelu:
      return gelu(x);
    case Activation::quick_gelu:
      return x * sigmoid(1.702 * x);
    case Activation::relu:
      return x > 0 ? x : 0;
    case Activation::tanh:
      return std::tanh(x);
    default:
      return x;
  }
}

}  // namespace tempera::reference
