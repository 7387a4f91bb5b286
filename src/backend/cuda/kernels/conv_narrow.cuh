// What the kernels for convolutions with a narrow side share, and how conv_narrow.cu reaches those on tensor cores.
#pragma once

#include "backend/cuda/kernels/access.cuh"

namespace tempera::cuda {

// Stores sum + bias + residual for V channels from `channel` of the pixel whose first element is at `pixel`.
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

// conv_few_inputs.cu: as conv_few_inputs(), for f16 and bf16.
void few_inputs_by_mma(const ConvArgs& a, cudaStream_t stream);
// conv_few_outputs.cu: as conv_few_outputs(), for f16 and bf16, 3 x 3, stride 1 and not too many channels; does nothing
// and returns false for others.
bool few_outputs_by_mma(const ConvArgs& a, cudaStream_t stream);

}  // namespace tempera::cuda
