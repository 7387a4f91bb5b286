// LayerNorm, one warp per row: mean, then variance about it, then the result. A row is a few KB and is read from memory
// once; the second and third pass find it in the L1 cache.
#include "backend/cuda/kernels/access.cuh"

namespace tempera::cuda {
namespace {

constexpr int kWarps = 8;

template <int V>
__global__ void __launch_bounds__(32 * kWarps)
    layer_norm_kernel(In x, const float* gamma, const float* beta, Out out, int64_t rows, int64_t channels, float eps) {
  const int64_t row = static_cast<int64_t>(blockIdx.x) * kWarps + threadIdx.x / 32;
  if (row >= rows) return;
  const int64_t lane = threadIdx.x % 32 * V, base = row * channels;
  float sum = 0;
  for (int64_t c = lane; c < channels; c += 32 * V) {
    const Numbers<V> v = load<V>(x, base + c);
#pragma unroll
    for (int k = 0; k < V; ++k) sum += v.v[k];
  }
  const float mean = warp_sum(sum) / static_cast<float>(channels);
  float squares = 0;
  for (int64_t c = lane; c < channels; c += 32 * V) {
    const Numbers<V> v = load<V>(x, base + c);
#pragma unroll
    for (int k = 0; k < V; ++k) squares = fmaf(v.v[k] - mean, v.v[k] - mean, squares);
  }
  const float inverse = rsqrtf(warp_sum(squares) / static_cast<float>(channels) + eps);
  for (int64_t c = lane; c < channels; c += 32 * V) {
    Numbers<V> v = load<V>(x, base + c);
    const Numbers<V> g = load<V>({gamma, DType::f32}, c), b = load<V>({beta, DType::f32}, c);
#pragma unroll
    for (int k = 0; k < V; ++k) v.v[k] = fmaf((v.v[k] - mean) * inverse, g.v[k], b.v[k]);
    store<V>(out, base + c, v);
  }
}

}  // namespace

void layer_norm(In x, const float* gamma, const float* beta, Out out, int64_t rows, int64_t channels, float eps,
                cudaStream_t stream) {
  const unsigned blocks = blocks_for(rows, kWarps);
  if (channels % kVector == 0) {
    layer_norm_kernel<kVector><<<blocks, 32 * kWarps, 0, stream>>>(x, gamma, beta, out, rows, channels, eps);
  } else {
    layer_norm_kernel<1><<<blocks, 32 * kWarps, 0, stream>>>(x, gamma, beta, out, rows, channels, eps);
  }
}

}  // namespace tempera::cuda
