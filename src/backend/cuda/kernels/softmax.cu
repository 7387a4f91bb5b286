// The softmax of naive attention, one block per row of scores. The row is kept in registers if it is not too long.
// Weights in half precision are written over the front of their own row of f32 scores. All threads read a chunk of the
// row before one of them writes, and the writes never reach scores that are still to be read.
#include "backend/cuda/kernels/access.cuh"

namespace tempera::cuda {
namespace {

constexpr int kThreads = 128;

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

// The number of keys that the row of this block uses.
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

// The row of this block.
__device__ inline In row_of(const SoftmaxArgs& a) {
  const int64_t size = a.scores.type == DType::f32 ? 4 : 2;
  return {static_cast<const char*>(a.scores.data) + blockIdx.x * a.keys * size, a.scores.type};
}

// Rows of at most N * kThreads vectors of V keys, which are read once.
template <int V, int N, DType T>
__global__ void __launch_bounds__(kThreads) registers_kernel(SoftmaxArgs a) {
  __shared__ float shared[kThreads / 32];
  a.scores.type = T;
  const In row = row_of(a);
  const int64_t seen = seen_keys(a);
  Numbers<V> x[N];
#pragma unroll
  for (int i = 0; i < N; ++i)
    if (const int64_t key = (threadIdx.x + i * kThreads) * V; key < a.keys) x[i] = load<V>(row, key);
  float largest = -INFINITY, sum = 0;
#pragma unroll
  for (int i = 0; i < N; ++i)
#pragma unroll
    for (int k = 0; k < V; ++k) {
      if ((threadIdx.x + i * kThreads) * V + k >= seen) x[i].v[k] = -INFINITY;
      largest = fmaxf(largest, x[i].v[k]);
    }
  largest = block_reduce(largest, shared, largest_of);
#pragma unroll
  for (int i = 0; i < N; ++i)
#pragma unroll
    for (int k = 0; k < V; ++k) {
      x[i].v[k] = __expf(x[i].v[k] - largest);
      sum += x[i].v[k];
    }
  const float inverse = 1 / block_reduce(sum, shared, sum_of);
  const Out out{const_cast<void*>(row.data), a.weights.type};
#pragma unroll
  for (int i = 0; i < N; ++i) {
    const int64_t key = (threadIdx.x + i * kThreads) * V;
    if (key >= a.keys) break;
#pragma unroll
    for (int k = 0; k < V; ++k) x[i].v[k] *= inverse;
    store<V>(out, key, x[i]);
  }
}

__global__ void __launch_bounds__(kThreads) passes_kernel(SoftmaxArgs a) {
  __shared__ float shared[kThreads / 32];
  const In row = row_of(a);
  const int64_t seen = seen_keys(a);
  float largest = -INFINITY, sum = 0;
  for (int64_t i = threadIdx.x; i < seen; i += kThreads) largest = fmaxf(largest, load<1>(row, i).v[0]);
  largest = block_reduce(largest, shared, largest_of);
  for (int64_t i = threadIdx.x; i < seen; i += kThreads) sum += __expf(load<1>(row, i).v[0] - largest);
  const float inverse = 1 / block_reduce(sum, shared, sum_of);
  const Out out{const_cast<void*>(row.data), a.weights.type};
  for (int64_t first = 0; first < a.keys; first += kThreads) {
    const int64_t i = first + threadIdx.x;
    const float weight = i < seen ? __expf(load<1>(row, i).v[0] - largest) * inverse : 0;
    __syncthreads();
    if (i < a.keys) store<1>(out, i, {weight});
  }
}

template <DType T>
void run(const SoftmaxArgs& a, cudaStream_t stream) {
  const auto blocks = static_cast<unsigned>(a.rows);
  const bool vectors = a.keys % kVector == 0;
  if (vectors && a.keys <= kVector * kThreads) {
    registers_kernel<kVector, 1, T><<<blocks, kThreads, 0, stream>>>(a);
  } else if (vectors && a.keys <= 4 * kVector * kThreads) {
    registers_kernel<kVector, 4, T><<<blocks, kThreads, 0, stream>>>(a);
  } else if (vectors && a.keys <= 16 * kVector * kThreads) {
    registers_kernel<kVector, 16, T><<<blocks, kThreads, 0, stream>>>(a);
  } else if (a.keys <= 8 * kThreads) {
    registers_kernel<1, 8, T><<<blocks, kThreads, 0, stream>>>(a);
  } else {
    passes_kernel<<<blocks, kThreads, 0, stream>>>(a);
  }
}

}  // namespace

void softmax(const SoftmaxArgs& args, cudaStream_t stream) {
  with_type(args.scores.type, [&](auto type) { run<type()>(args, stream); });
}

}  // namespace tempera::cuda
