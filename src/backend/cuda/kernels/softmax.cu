// The softmax of naive attention: one block per row of scores. Weights in half precision are written over the front of
// their own row of f32 scores: a chunk of the row is read by all threads before any of them writes, and what is written
// never reaches scores that are still to be read.
#include "backend/cuda/kernels/access.cuh"

namespace tempera::cuda {
namespace {

constexpr int kThreads = 256;

template <class Combine>
__device__ float block_reduce(float x, float* shared, const Combine& combine) {
#pragma unroll
  for (int step = 16; step > 0; step /= 2) x = combine(x, __shfl_xor_sync(0xffffffffu, x, step));
  __syncthreads();
  if (threadIdx.x % 32 == 0) shared[threadIdx.x / 32] = x;
  __syncthreads();
  float total = shared[0];
  for (int w = 1; w < kThreads / 32; ++w) total = combine(total, shared[w]);
  return total;
}

__global__ void __launch_bounds__(kThreads)
    softmax_kernel(float* scores, DType type, int64_t queries, int64_t keys, bool causal) {
  __shared__ float shared[kThreads / 32];
  const int64_t row = blockIdx.x;
  float* x = scores + row * keys;
  const int64_t seen = causal && row % queries + 1 < keys ? row % queries + 1 : keys;
  float largest = -INFINITY;
  for (int64_t i = threadIdx.x; i < seen; i += kThreads) largest = fmaxf(largest, x[i]);
  largest = block_reduce(largest, shared, [](float a, float b) { return fmaxf(a, b); });
  float sum = 0;
  for (int64_t i = threadIdx.x; i < seen; i += kThreads) sum += expf(x[i] - largest);
  sum = block_reduce(sum, shared, [](float a, float b) { return a + b; });
  const float inverse = 1 / sum;
  const Out out{x, type};
  for (int64_t first = 0; first < keys; first += kThreads) {
    const int64_t i = first + threadIdx.x;
    const float weight = i < seen ? expf(x[i] - largest) * inverse : 0;
    __syncthreads();
    if (i < keys) store<1>(out, i, {weight});
  }
}

}  // namespace

void softmax(float* scores, DType type, int64_t rows, int64_t queries, int64_t keys, bool causal, cudaStream_t stream) {
  softmax_kernel<<<static_cast<unsigned>(rows), kThreads, 0, stream>>>(scores, type, queries, keys, causal);
}

}  // namespace tempera::cuda
