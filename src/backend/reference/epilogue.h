// The operations after the sum in a convolution or a matrix product: bias, activation, residual. Each is rounded as its
// own node.
#pragma once

#include "backend/reference/numbers.h"

namespace tempera::reference {

class Epilogue {
 public:
  // Bias, if there is one, is input 2. The residual is the last input.
  Epilogue(const Problem& p, const Binding& b, bool bias, Activation activation, bool residual)
      : dtype_(p.output.dtype),
        has_bias_(bias),
        activation_(activation),
        has_residual_(residual),
        bias_(numbers(p, b, bias ? 2 : 0)),
        residual_(numbers(p, b, p.inputs.size() - 1)) {}

  // The value of output `channel` before anything is fused to it.
  double biased(double sum, int64_t channel) const { return round_to(dtype_, has_bias_ ? sum + bias_[channel] : sum); }
  // The value of element `index` of the output, in channel `channel`.
  double operator()(double sum, int64_t channel, int64_t index) const {
    double y = biased(sum, channel);
    if (activation_ != Activation::none) y = round_to(dtype_, apply(activation_, y));
    return has_residual_ ? y + residual_[index] : y;
  }

 private:
  DType dtype_;
  bool has_bias_;
  Activation activation_;
  bool has_residual_;
  Numbers bias_, residual_;
};

}  // namespace tempera::reference
