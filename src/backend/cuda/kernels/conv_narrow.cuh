// The code that the kernels for convolutions with a narrow side share, and the functions of conv_few_inputs.cu and
// conv_few_outputs.cu that conv_narrow.cu calls.
#pragma once

#include "backend/cuda/kernels/access.cuh"

namespace tempera::cuda {

// Stores sum + bias + residual for V channels, from `channel` on, of the pixel whose first element is at `pixel`.
template <int V>
__device__ inline void finish(const ConvArgs& a, Numbers<V> y, int64_t pixel, int channel) {
  if (a.bias.data != nullptr) {
    const Numbers<V> bias = load<V>(a.bias, channel);
#pragma unroll
    for (int k = 0; k < V; ++k) y.v[k] += bias.v[k];
  }
  if (a.residual.data != nullptr) {
    const Numbers<V> residual = load<V>(a.residual, pixel + channel);
#pragma unroll
    for (int k = 0; k < V; ++k) y.v[k] += residual.v[k];
  }
  store<V>(a.out, pixel + channel, y);
}

// conv_few_inputs.cu: like conv_few_inputs(), for f16 and bf16 and at most four input channels.
void few_inputs_by_mma(const ConvArgs& a, cudaStream_t stream);
// conv_few_outputs.cu: like conv_few_outputs(), for f16 and bf16, 3 x 3, stride 1 and weights that fit into shared
// memory. Returns false for other problems and does nothing.
bool few_outputs_by_mma(const ConvArgs& a, cudaStream_t stream);

}  // namespace tempera::cuda
