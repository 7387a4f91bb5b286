// LayerNorm, one warp per row: mean, then variance about it, then the result. Rows of up to 2048 channels are read once
// and stay in the warp's registers, packed. Longer rows, and rows of other than a multiple of 8 channels, are read
// three times, from the L1 cache.
#include "backend/cuda/kernels/access.cuh"
#include "backend/cuda/kernels/launch.cuh"

namespace tempera::cuda {
namespace {

constexpr int kWarps = 8, kLane = 32 * kVector;

struct LayerNormArgs {
  In x;
  const float *gamma, *beta;
  Out out;
  int64_t rows, channels;
  float eps;
};

// The row of this warp. In the last block it may be past the end.
__device__ inline int64_t row_of_warp() {
  return static_cast<int64_t>(blockIdx.x) * kWarps + threadIdx.x / 32;
}

template <int V>
__device__ Numbers<V> normalized(const LayerNormArgs& a, Numbers<V> x, int64_t c, float mean, float inverse) {
  const Numbers<V> g = load<V>({a.gamma, DType::f32}, c), b = load<V>({a.beta, DType::f32}, c);
#pragma unroll
  for (int k = 0; k < V; ++k) x.v[k] = fmaf((x.v[k] - mean) * inverse, g.v[k], b.v[k]);
  return x;
}

// The channels are a multiple of 8; at most N vectors per lane.
template <int N, DType T>
__global__ void __launch_bounds__(32 * kWarps) registers_kernel(LayerNormArgs a) {
  begin();
  a.x.type = T;
  const int64_t row = row_of_warp();
  if (row >= a.rows) return;
  const int64_t lane = threadIdx.x % 32 * kVector, base = row * a.channels;
  Packed<kVector, T> packed[N];
#pragma unroll
  for (int i = 0; i < N; ++i)
    if (lane + i * kLane < a.channels) packed[i] = load_packed<kVector, T>(a.x, base + lane + i * kLane);
  const auto x = [&](int i) { return unpacked<kVector, T>(packed[i]); };
  float sum = 0;
#pragma unroll
  for (int i = 0; i < N; ++i) {
    if (lane + i * kLane >= a.channels) continue;
    const Numbers<kVector> v = x(i);
#pragma unroll
    for (int k = 0; k < kVector; ++k) sum += v.v[k];
  }
  const float mean = warp_sum(sum) / static_cast<float>(a.channels);
  float squares = 0;
#pragma unroll
  for (int i = 0; i < N; ++i) {
    if (lane + i * kLane >= a.channels) continue;
    const Numbers<kVector> v = x(i);
#pragma unroll
    for (int k = 0; k < kVector; ++k) squares = fmaf(v.v[k] - mean, v.v[k] - mean, squares);
  }
  const float inverse = rsqrtf(warp_sum(squares) / static_cast<float>(a.channels) + a.eps);
#pragma unroll
  for (int i = 0; i < N; ++i)
    if (const int64_t c = lane + i * kLane; c < a.channels)
      store<kVector>(a.out, base + c, normalized<kVector>(a, x(i), c, mean, inverse));
}

template <int V>
__global__ void __launch_bounds__(32 * kWarps) passes_kernel(LayerNormArgs a) {
  begin();
  const int64_t row = row_of_warp();
  if (row >= a.rows) return;
  const int64_t lane = threadIdx.x % 32 * V, base = row * a.channels;
  float sum = 0;
  for (int64_t c = lane; c < a.channels; c += 32 * V) {
    const Numbers<V> v = load<V>(a.x, base + c);
#pragma unroll
    for (int k = 0; k < V; ++k) sum += v.v[k];
  }
  const float mean = warp_sum(sum) / static_cast<float>(a.channels);
  float squares = 0;
  for (int64_t c = lane; c < a.channels; c += 32 * V) {
    const Numbers<V> v = load<V>(a.x, base + c);
#pragma unroll
    for (int k = 0; k < V; ++k) squares = fmaf(v.v[k] - mean, v.v[k] - mean, squares);
  }
  const float inverse = rsqrtf(warp_sum(squares) / static_cast<float>(a.channels) + a.eps);
  for (int64_t c = lane; c < a.channels; c += 32 * V)
    store<V>(a.out, base + c, normalized<V>(a, load<V>(a.x, base + c), c, mean, inverse));
}

template <DType T>
void run(const LayerNormArgs& a, cudaStream_t stream) {
  const unsigned blocks = blocks_for(a.rows, kWarps), threads = 32 * kWarps;
  if (a.channels % kVector != 0) {
    launch_early(passes_kernel<1>, blocks, threads, 0, stream, a);
  } else if (a.channels <= 3 * kLane) {
    launch_early(registers_kernel<3, T>, blocks, threads, 0, stream, a);
  } else if (a.channels <= 5 * kLane) {
    launch_early(registers_kernel<5, T>, blocks, threads, 0, stream, a);
  } else if (a.channels <= 8 * kLane) {
    launch_early(registers_kernel<8, T>, blocks, threads, 0, stream, a);
  } else {
    launch_early(passes_kernel<kVector>, blocks, threads, 0, stream, a);
  }
}

}  // namespace

void layer_norm(In x, const float* gamma, const float* beta, Out out, int64_t rows, int64_t channels, float eps,
                cudaStream_t stream) {
  const LayerNormArgs args{x, gamma, beta, out, rows, channels, eps};
  with_type(x.type, [&](auto type) { run<type()>(args, stream); });
}

}  // namespace tempera::cuda
