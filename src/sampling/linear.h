// Linear combinations of the slots, the model's prediction and fresh noise. Samplers are written as formulas with them,
// and the resulting coefficients are the rows of the update table.
#pragma once

#include <cstddef>
#include <vector>

namespace tempera {

class Linear {
 public:
  Linear() = default;
  // The basis vector `index` of `size`.
  Linear(size_t size, size_t index) : coefficients_(size, 0.0) { coefficients_[index] = 1.0; }

  const std::vector<double>& coefficients() const { return coefficients_; }

  friend Linear operator+(Linear a, const Linear& b) {
    for (size_t i = 0; i < a.coefficients_.size(); ++i) a.coefficients_[i] += b.coefficients_[i];
    return a;
  }
  friend Linear operator*(double factor, Linear a) {
    for (double& c : a.coefficients_) c *= factor;
    return a;
  }
  friend Linear operator-(Linear a, const Linear& b) {
    for (size_t i = 0; i < a.coefficients_.size(); ++i) a.coefficients_[i] -= b.coefficients_[i];
    return a;
  }
  friend Linear operator/(Linear a, double divisor) {
    for (double& c : a.coefficients_) c /= divisor;
    return a;
  }

 private:
  std::vector<double> coefficients_;
};

}  // namespace tempera
