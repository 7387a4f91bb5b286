// The softmax of naive attention: one block per row of scores, which it holds in registers where the row is not too
// long. Weights in half precision are written over the front of their own row of f32 scores: a chunk of the row is read
// by all threads before any of them writes, and what is written never reaches scores that are still to be read.
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

// How many keys the row of this block sees.
__device__ inline int64_t seen_keys(const SoftmaxArgs& a) {
  const int64_t query = a.first_query + blockIdx.x % a.queries;
  return a.causal && query + 1 < a.keys ? query + 1 : a.keys;
}

__device__ inline float largest_of(float a, float b) {
  return fmaxf(a, b);
}
__device__ inline float sum_of(float a, float b) {
  return a + b;
}

// Rows of at most N * kThreads keys, read once.
template <int N>
__global__ void __launch_bounds__(kThreads) registers_kernel(SoftmaxArgs a) {
  __shared__ float shared[kThreads / 32];
  float* row = a.scores + blockIdx.x * a.keys;
  const int64_t seen = seen_keys(a);
  float x[N], largest = -INFINITY, sum = 0;
#pragma unroll
  for (int i = 0; i < N; ++i) {
    const int64_t key = threadIdx.x + i * kThreads;
    x[i] = key < seen ? row[key] : -INFINITY;
    largest = fmaxf(largest, x[i]);
  }
  largest = block_reduce(largest, shared, largest_of);
#pragma unroll
  for (int i = 0; i < N; ++i) {
    x[i] = __expf(x[i] - largest);
    sum += x[i];
  }
  const float inverse = 1 / block_reduce(sum, shared, sum_of);
  const Out out{row, a.type};
#pragma unroll
  for (int i = 0; i < N; ++i)
    if (const int64_t key = threadIdx.x + i * kThreads; key < a.keys) store<1>(out, key, {x[i] * inverse});
}

__global__ void __launch_bounds__(kThreads) passes_kernel(SoftmaxArgs a) {
  __shared__ float shared[kThreads / 32];
  float* row = a.scores + blockIdx.x * a.keys;
  const int64_t seen = seen_keys(a);
  float largest = -INFINITY, sum = 0;
  for (int64_t i = threadIdx.x; i < seen; i += kThreads) largest = fmaxf(largest, row[i]);
  largest = block_reduce(largest, shared, largest_of);
  for (int64_t i = threadIdx.x; i < seen; i += kThreads) sum += __expf(row[i] - largest);
  const float inverse = 1 / block_reduce(sum, shared, sum_of);
  const Out out{row, a.type};
  for (int64_t first = 0; first < a.keys; first += kThreads) {
    const int64_t i = first + threadIdx.x;
    const float weight = i < seen ? __expf(row[i] - largest) * inverse : 0;
    __syncthreads();
    if (i < a.keys) store<1>(out, i, {weight});
  }
}

}  // namespace

void softmax(const SoftmaxArgs& a, cudaStream_t stream) {
  const auto blocks = static_cast<unsigned>(a.rows);
  if (a.keys <= 4 * kThreads) {
    registers_kernel<4><<<blocks, kThreads, 0, stream>>>(a);
  } else if (a.keys <= 16 * kThreads) {
    registers_kernel<16><<<blocks, kThreads, 0, stream>>>(a);
  } else {
    passes_kernel<<<blocks, kThreads, 0, stream>>>(a);
  }
}

}  // namespace tempera::cuda
