// GroupNorm of NHWC pictures, with the shift before it and the activation after it, in three launches: sums per chunk
// of pixels, their reduction to mean and deviation, and the result. The picture is read twice and written once.
//
// A block processes a chunk of pixels and all channels. A thread processes vectors of eight channels of every R-th
// pixel, so that accesses are contiguous for any width of a group. The sums are those of the differences from the first
// element of the group, which keeps them exact for data with a large mean. They are added in a fixed order.
//
// If x has a tail, each vector is either in x or in the tail.
#include "backend/cuda/kernels/access.cuh"
#include "backend/cuda/kernels/group_norm_plan.h"
#include "backend/cuda/kernels/launch.cuh"

namespace tempera::cuda {
namespace {

constexpr int kThreads = 256;
constexpr int kParts = 8;
// Pixels that a thread loads before it uses the first one. They are packed, because registers limit the blocks.
constexpr int kAhead = 4;

// Threads along the channels, and rows of such threads.
template <int V>
dim3 block_of(int channels) {
  const int columns = channels / V, x = columns < kThreads ? columns : kThreads;
  return dim3(static_cast<unsigned>(x), static_cast<unsigned>(kThreads / x));
}

template <int V>
__device__ Numbers<V> shift_of(const GroupNormArgs& a, int64_t picture, int channel) {
  if (a.shift.data == nullptr) return {};
  return load<V>(a.shift, picture * a.channels + channel);
}

// The position of a channel in pixel 0, and the distance between pixels, in elements.
struct Source {
  In in;
  int channel, stride;
};
__device__ inline Source source_of(const GroupNormArgs& a, int channel) {
  return channel < a.head ? Source{a.x, channel, a.head} : Source{a.tail, channel - a.head, a.channels - a.head};
}

// The value that is subtracted from all elements of a group before they are summed.
__device__ inline float origin(const GroupNormArgs& a, int64_t picture, int channel) {
  const int width = a.channels / a.groups, first = channel / width * width;
  const Source source = source_of(a, first);
  const float x = load<1>(source.in, picture * a.pixels * source.stride + source.channel).v[0];
  return a.shift.data == nullptr ? x : x + load<1>(a.shift, picture * a.channels + first).v[0];
}

// partial (picture, chunk, group): {sum, sum of squares} of the differences to the origin.
template <int V, DType T>
__global__ void __launch_bounds__(kThreads) sums_kernel(GroupNormArgs a, int64_t chunk, float2* partial) {
  extern __shared__ float2 channel_sums[];  // (rows, channels)
  a.x.type = a.tail.type = T;
  begin();
  const int64_t picture = blockIdx.y, begin = blockIdx.x * chunk;
  const int64_t end = begin + chunk < a.pixels ? begin + chunk : a.pixels;
  for (int column = static_cast<int>(threadIdx.x); column * V < a.channels; column += static_cast<int>(blockDim.x)) {
    const int channel = column * V;
    const Numbers<V> shift = shift_of<V>(a, picture, channel);
    Numbers<V> from, sum, squares;
#pragma unroll
    for (int k = 0; k < V; ++k) {
      from.v[k] = origin(a, picture, channel + k) - shift.v[k];
      sum.v[k] = squares.v[k] = 0;
    }
    const Source source = source_of(a, channel);
    const auto at = [&](int64_t pixel) { return (picture * a.pixels + pixel) * source.stride + source.channel; };
    for (int64_t first = begin + threadIdx.y; first < end; first += kAhead * blockDim.y) {
      Packed<V, T> ahead[kAhead];
#pragma unroll
      for (int i = 0; i < kAhead; ++i)
        if (first + i * blockDim.y < end) ahead[i] = load_packed<V, T>(source.in, at(first + i * blockDim.y));
#pragma unroll
      for (int i = 0; i < kAhead; ++i) {
        if (first + i * blockDim.y >= end) break;
        const Numbers<V> x = unpacked<V, T>(ahead[i]);
#pragma unroll
        for (int k = 0; k < V; ++k) {
          const float d = x.v[k] - from.v[k];
          sum.v[k] += d;
          squares.v[k] = fmaf(d, d, squares.v[k]);
        }
      }
    }
#pragma unroll
    for (int k = 0; k < V; ++k)
      channel_sums[threadIdx.y * a.channels + channel + k] = make_float2(sum.v[k], squares.v[k]);
  }
  __syncthreads();
  // Eight neighbouring threads add up a group. Every row of threads has sums for all of its channels.
  const int width = a.channels / a.groups, all = width * static_cast<int>(blockDim.y);
  const int thread = static_cast<int>(threadIdx.y * blockDim.x + threadIdx.x), part = thread % kParts;
  const int threads = static_cast<int>(blockDim.x * blockDim.y), step = threads / kParts;
  const unsigned warp = thread / 32 < threads / 32 ? 0xffffffffu : (1u << threads % 32) - 1;  // the last may be short
  for (int first = 0; first < a.groups; first += step) {
    const int g = first + thread / kParts;
    float2 total = make_float2(0, 0);
    for (int i = part; i < all && g < a.groups && thread / kParts < step; i += kParts) {
      const float2 s = channel_sums[i / width * a.channels + g * width + i % width];
      total.x += s.x;
      total.y += s.y;
    }
#pragma unroll
    for (int lane = kParts / 2; lane > 0; lane /= 2) {
      total.x += __shfl_xor_sync(warp, total.x, lane);
      total.y += __shfl_xor_sync(warp, total.y, lane);
    }
    if (part == 0 && g < a.groups && thread / kParts < step)
      partial[(picture * gridDim.x + blockIdx.x) * a.groups + g] = total;
  }
}

// One warp per picture and group. statistics (picture, group): {mean, 1 / deviation}.
__global__ void __launch_bounds__(32)
    statistics_kernel(GroupNormArgs a, int chunks, const float2* partial, float2* statistics) {
  begin();
  const int64_t picture = blockIdx.x / a.groups;
  const int group = static_cast<int>(blockIdx.x % a.groups), width = a.channels / a.groups;
  float sum = 0, squares = 0;
  for (int c = static_cast<int>(threadIdx.x); c < chunks; c += 32) {
    const float2 s = partial[(picture * chunks + c) * a.groups + group];
    sum += s.x;
    squares += s.y;
  }
  sum = warp_sum(sum);
  squares = warp_sum(squares);
  if (threadIdx.x != 0) return;
  const float n = static_cast<float>(a.pixels * width), mean = sum / n;
  const float variance = fmaxf(squares / n - mean * mean, 0);
  statistics[blockIdx.x] = make_float2(mean + origin(a, picture, group * width), rsqrtf(variance + a.eps));
}

// In reverse order: the pixels that sums_kernel read last may still be in the cache.
template <int V, DType T>
__global__ void __launch_bounds__(kThreads) apply_kernel(GroupNormArgs a, int64_t chunk, const float2* statistics) {
  a.x.type = a.tail.type = T;
  begin();
  const int64_t picture = gridDim.y - 1 - blockIdx.y, begin = (gridDim.x - 1 - blockIdx.x) * chunk;
  const int64_t end = begin + chunk < a.pixels ? begin + chunk : a.pixels;
  const int width = a.channels / a.groups;
  for (int column = static_cast<int>(threadIdx.x); column * V < a.channels; column += static_cast<int>(blockDim.x)) {
    const int channel = column * V;
    const Numbers<V> shift = shift_of<V>(a, picture, channel);
    const Numbers<V> gamma = load<V>({a.gamma, DType::f32}, channel), beta = load<V>({a.beta, DType::f32}, channel);
    Numbers<V> factor, offset;
#pragma unroll
    for (int k = 0; k < V; ++k) {
      const float2 s = statistics[picture * a.groups + (channel + k) / width];
      factor.v[k] = s.y * gamma.v[k];
      offset.v[k] = fmaf(shift.v[k] - s.x, factor.v[k], beta.v[k]);
    }
    const Source source = source_of(a, channel);
    for (int64_t first = begin + threadIdx.y; first < end; first += kAhead * blockDim.y) {
      const auto pixel = [&](int i) { return picture * a.pixels + first + i * blockDim.y; };
      Packed<V, T> ahead[kAhead];
#pragma unroll
      for (int i = 0; i < kAhead; ++i)
        if (first + i * blockDim.y < end)
          ahead[i] = load_packed<V, T>(source.in, pixel(i) * source.stride + source.channel);
#pragma unroll
      for (int i = 0; i < kAhead; ++i) {
        if (first + i * blockDim.y >= end) break;
        Numbers<V> y = unpacked<V, T>(ahead[i]);
#pragma unroll
        for (int k = 0; k < V; ++k) y.v[k] = apply(a.activation, fmaf(y.v[k], factor.v[k], offset.v[k]));
        store<V>(a.out, pixel(i) * a.channels + channel, y);
      }
    }
  }
}

template <int V, DType T>
void run(const GroupNormArgs& a, cudaStream_t stream) {
  const GroupNormPlan plan = group_norm_plan(a.pictures, a.pixels, a.channels, a.groups);
  auto* statistics = reinterpret_cast<float2*>(a.scratch);
  float2* partial = statistics + a.pictures * a.groups;
  const dim3 grid(static_cast<unsigned>(plan.chunks), static_cast<unsigned>(a.pictures)),
      block = block_of<V>(a.channels);
  const size_t shared = block.y * static_cast<size_t>(a.channels) * sizeof(float2);
  launch_early(sums_kernel<V, T>, grid, block, shared, stream, a, plan.chunk, partial);
  launch_early(statistics_kernel, dim3(static_cast<unsigned>(a.pictures * a.groups)), dim3(32), 0, stream, a,
               static_cast<int>(plan.chunks), partial, statistics);
  launch_early(apply_kernel<V, T>, grid, block, 0, stream, a, plan.chunk, statistics);
}

}  // namespace

void group_norm(const GroupNormArgs& args, cudaStream_t stream) {
  with_type(args.x.type, [&](auto type) {
    if (args.channels % kVector == 0 && args.head % kVector == 0) return run<kVector, type()>(args, stream);
    run<1, type()>(args, stream);
  });
}

}  // namespace tempera::cuda
