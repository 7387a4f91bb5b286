// GroupNorm of NHWC pictures with the shift before and the activation after it: sums per chunk of pixels, then the
// result. Reads the picture twice and writes it once; so that the second reading is from the card's cache, pictures
// take turns, as many at a time as the cache holds: a launch finishes those that the one before it has summed up, and
// sums up the next. Blocks that finish come first, and begin with what was read last.
//
// A block owns a chunk of pixels and all channels; a thread owns vectors of eight channels and every R-th pixel, so
// that accesses are contiguous whatever the width of a group. Sums are of the differences to the group's first element,
// which keeps them exact for data with a large mean, and are added in a fixed order. Where x has a tail, a thread's
// channels lie in one of the two: vectors do not straddle them.
//
// All 46 of a denoising step, 4 pictures (a batch of 8), f16, one H100; 1.65 ms if memory were read and written once:
//   3.04 ms  three launches: sums of all pictures, their mean and deviation, all results
#include <algorithm>

#include "backend/cuda/group_norm_plan.h"
#include "backend/cuda/kernels/access.cuh"
#include "backend/cuda/kernels/launch.cuh"

namespace tempera::cuda {
namespace {

constexpr int kThreads = kGroupNormThreads;
constexpr int kParts = 8;
constexpr int kAhead = 4;  // pixels that a thread asks for before it uses the first, packed: registers limit blocks

// Threads side by side in the channels, and rows of them.
template <int V>
dim3 block_of(int channels) {
  const int columns = channels / V, x = columns < kThreads ? columns : kThreads;
  return dim3(static_cast<unsigned>(x), static_cast<unsigned>(kThreads / x));
}

// The part of a picture that a block works on.
struct Chunk {
  int64_t picture;
  int begin, end;  // pixels
  __device__ Chunk(const GroupNormArgs& a, int64_t of, int index, int pixels)
      : picture(of), begin(index * pixels), end(static_cast<int>(min(int64_t{begin} + pixels, a.pixels))) {}
};

template <int V>
__device__ Numbers<V> shift_of(const GroupNormArgs& a, int64_t picture, int channel) {
  if (a.shift.data == nullptr) return {};
  return load<V>(a.shift, picture * a.channels + channel);
}

// Where a channel of pixel 0 lies, and how far apart pixels are.
struct Source {
  In in;
  int channel, stride;
};
__device__ inline Source source_of(const GroupNormArgs& a, int channel) {
  return channel < a.head ? Source{a.x, channel, a.head} : Source{a.tail, channel - a.head, a.channels - a.head};
}

// What sums of a group are relative to.
__device__ inline float origin(const GroupNormArgs& a, int64_t picture, int channel) {
  const int width = a.channels / a.groups, first = channel / width * width;
  const Source source = source_of(a, first);
  const float x = load<1>(source.in, picture * a.pixels * source.stride + source.channel).v[0];
  return a.shift.data == nullptr ? x : x + load<1>(a.shift, picture * a.channels + first).v[0];
}

// Calls use(pixel, x) for every pixel of the chunk that is this thread's; pixels of all pictures are numbered in a row.
// Last: nobody reads them again soon.
template <int V, DType T, bool Last, class Use>
__device__ inline void each_pixel(const GroupNormArgs& a, const Chunk& chunk, int channel, const Use& use) {
  const int rows = static_cast<int>(blockDim.y);
  const int64_t picture = chunk.picture * a.pixels;
  const Source source = source_of(a, channel);
  for (int first = chunk.begin + static_cast<int>(threadIdx.y); first < chunk.end; first += kAhead * rows) {
    Packed<V, T> ahead[kAhead];
#pragma unroll
    for (int i = 0; i < kAhead; ++i)
      if (first + i * rows < chunk.end)
        ahead[i] = load_packed<V, T, Last>(source.in, (picture + first + i * rows) * source.stride + source.channel);
#pragma unroll
    for (int i = 0; i < kAhead; ++i) {
      if (first + i * rows >= chunk.end) break;
      use(picture + first + i * rows, unpacked<V, T>(ahead[i]));
    }
  }
}

// Adds up value(group, i) for i < n in a fixed order, for each group by eight neighbouring threads, the first of which
// calls take(group, total).
template <class Value, class Take>
__device__ inline void each_group(int groups, int n, const Value& value, const Take& take) {
  const int thread = static_cast<int>(threadIdx.y * blockDim.x + threadIdx.x), part = thread % kParts;
  const int threads = static_cast<int>(blockDim.x * blockDim.y), step = threads / kParts;
  const unsigned warp = thread / 32 < threads / 32 ? 0xffffffffu : (1u << threads % 32) - 1;  // the last may be short
  for (int first = 0; first < groups; first += step) {
    const int group = first + thread / kParts;
    const bool mine = group < groups && thread / kParts < step;
    float2 total = make_float2(0, 0);
#pragma unroll 8
    for (int i = part; i < n && mine; i += kParts) {
      const float2 s = value(group, i);
      total.x += s.x;
      total.y += s.y;
    }
#pragma unroll
    for (int lane = kParts / 2; lane > 0; lane /= 2) {
      total.x += __shfl_xor_sync(warp, total.x, lane);
      total.y += __shfl_xor_sync(warp, total.y, lane);
    }
    if (part == 0 && mine) take(group, total);
  }
}

// A picture's row of scratch memory, (1 + chunks, groups): {origin, 0}, as the result may be written over x, and {sum,
// sum of squares} of the differences to it for every chunk.
__device__ inline float2* sums_of(const GroupNormArgs& a, int64_t picture, int chunks) {
  return reinterpret_cast<float2*>(a.scratch) + picture * (1 + chunks) * a.groups;
}

template <int V, DType T>
__device__ inline void sum(const GroupNormArgs& a, const Chunk& chunk, float2* origins, float2* to, float2* shared) {
  for (int column = static_cast<int>(threadIdx.x); column * V < a.channels; column += static_cast<int>(blockDim.x)) {
    const int channel = column * V;
    const Numbers<V> shift = shift_of<V>(a, chunk.picture, channel);
    Numbers<V> from, sum, squares;
#pragma unroll
    for (int k = 0; k < V; ++k) {
      from.v[k] = origin(a, chunk.picture, channel + k) - shift.v[k];
      sum.v[k] = squares.v[k] = 0;
    }
    each_pixel<V, T, false>(a, chunk, channel, [&](int64_t, const Numbers<V>& x) {
#pragma unroll
      for (int k = 0; k < V; ++k) {
        const float d = x.v[k] - from.v[k];
        sum.v[k] += d;
        squares.v[k] = fmaf(d, d, squares.v[k]);
      }
    });
#pragma unroll
    for (int k = 0; k < V; ++k) shared[threadIdx.y * a.channels + channel + k] = make_float2(sum.v[k], squares.v[k]);
  }
  __syncthreads();
  // Every row of threads has all channels of a group.
  const int width = a.channels / a.groups;
  const auto value = [&](int group, int i) { return shared[i / width * a.channels + group * width + i % width]; };
  each_group(a.groups, width * static_cast<int>(blockDim.y), value, [&](int group, float2 total) {
    to[group] = total;
    if (chunk.begin == 0) origins[group] = make_float2(origin(a, chunk.picture, group * width), 0);
  });
}

template <int V, DType T>
__device__ inline void finish(const GroupNormArgs& a, const Chunk& chunk, int chunks, const float2* sums,
                              float2* statistics) {
  const int width = a.channels / a.groups;
  const auto value = [&](int group, int i) { return sums[(1 + i) * a.groups + group]; };
  each_group(a.groups, chunks, value, [&](int group, float2 total) {
    const float n = static_cast<float>(a.pixels * width), mean = total.x / n;
    const float variance = fmaxf(total.y / n - mean * mean, 0);
    statistics[group] = make_float2(mean + sums[group].x, rsqrtf(variance + a.eps));
  });
  __syncthreads();
  for (int column = static_cast<int>(threadIdx.x); column * V < a.channels; column += static_cast<int>(blockDim.x)) {
    const int channel = column * V;
    const Numbers<V> shift = shift_of<V>(a, chunk.picture, channel);
    const Numbers<V> gamma = load<V>({a.gamma, DType::f32}, channel), beta = load<V>({a.beta, DType::f32}, channel);
    Numbers<V> factor, offset;
#pragma unroll
    for (int k = 0; k < V; ++k) {
      const float2 s = statistics[(channel + k) / width];
      factor.v[k] = s.y * gamma.v[k];
      offset.v[k] = fmaf(shift.v[k] - s.x, factor.v[k], beta.v[k]);
    }
    each_pixel<V, T, true>(a, chunk, channel, [&](int64_t pixel, Numbers<V> x) {
#pragma unroll
      for (int k = 0; k < V; ++k) x.v[k] = apply(a.activation, fmaf(x.v[k], factor.v[k], offset.v[k]));
      store<V>(a.out, pixel * a.channels + channel, x);
    });
  }
}

// Finishes `results` pictures from `first` on, and sums up those after them. Shared memory: {sum, squares} of (rows,
// channels), then {mean, 1 / deviation} of the groups.
template <int V, DType T>
__global__ void __launch_bounds__(kThreads, T == DType::f32 ? 1 : 2)
    group_norm_kernel(GroupNormArgs a, int pixels, int64_t first, int64_t results) {
  extern __shared__ float2 shared[];
  a.x.type = a.tail.type = T;
  begin();
  const int chunks = static_cast<int>(gridDim.x), index = static_cast<int>(blockIdx.x);
  if (blockIdx.y < results) {
    const Chunk chunk(a, first + results - 1 - blockIdx.y, chunks - 1 - index, pixels);
    finish<V, T>(a, chunk, chunks, sums_of(a, chunk.picture, chunks), shared);
  } else {
    const Chunk chunk(a, first + blockIdx.y, index, pixels);
    float2* sums = sums_of(a, chunk.picture, chunks);
    sum<V, T>(a, chunk, sums, sums + (1 + index) * a.groups, shared);
  }
}

template <int V, DType T>
void run(const GroupNormArgs& a, cudaStream_t stream) {
  const GroupNormPlan plan = group_norm_plan(a.pictures, a.pixels, a.channels, a.groups, size_of(T));
  const dim3 block = block_of<V>(a.channels);
  const size_t shared = block.y * static_cast<size_t>(a.channels) * sizeof(float2);
  int64_t results = 0;
  for (int64_t first = 0; first < a.pictures;) {
    const int64_t sums = std::min(plan.together, a.pictures - first - results);
    const dim3 grid(static_cast<unsigned>(plan.chunks), static_cast<unsigned>(results + sums));
    launch_early(group_norm_kernel<V, T>, grid, block, shared, stream, a, static_cast<int>(plan.chunk), first, results);
    first += results;
    results = sums;
  }
}

}  // namespace

void group_norm(const GroupNormArgs& args, cudaStream_t stream) {
  with_type(args.x.type, [&](auto type) {
    if (args.channels % kVector == 0 && args.head % kVector == 0) return run<kVector, type()>(args, stream);
    run<1, type()>(args, stream);
  });
}

}  // namespace tempera::cuda
