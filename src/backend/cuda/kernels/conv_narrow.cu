// Convolutions with few input or output channels, without tensor cores: SDXL's first layer (4 or 9 -> 320) and last
// layers (320 -> 4, 128 -> 3). Both kernels read or write their wide side once, in vectors of eight channels, and keep
// the narrow side in registers. They are used for f32, whose products stay f32, and for the problems in half precision
// that conv_few_outputs.cu and conv_few_inputs.cu do not support.
#include <algorithm>

#include "backend/cuda/kernels/conv_narrow.cuh"

namespace tempera::cuda {
namespace {

constexpr int kPixels = 8;  // neighbours in one row of the picture that a thread or warp computes together

// kPixels neighbouring pixels in one row of the output.
struct Run {
  int64_t picture;
  int y, x;
  __device__ Run(const ConvArgs& a, int64_t index) {
    const int64_t runs = (a.out_width + kPixels - 1) / kPixels;
    x = static_cast<int>(index % runs) * kPixels;
    y = static_cast<int>(index / runs % a.out_height);
    picture = index / runs / a.out_height;
  }
  __device__ int64_t pixel(const ConvArgs& a, int p) const {
    return ((picture * a.out_height + y) * a.out_width + x + p) * a.out_channels;
  }
};

int64_t runs_of(const ConvArgs& a) {
  return static_cast<int64_t>(a.pictures) * a.out_height * ((a.out_width + kPixels - 1) / kPixels);
}

constexpr int kWarps = 4;

// One warp per run. Its lanes divide the taps and channels of the window, and add up their sums at the end.
template <int Outputs, DType T>
__global__ void __launch_bounds__(32 * kWarps) few_outputs_kernel(ConvArgs a, int64_t runs) {
  a.x.type = a.weights.type = T;
  const int64_t index = static_cast<int64_t>(blockIdx.x) * kWarps + threadIdx.x / 32;
  if (index >= runs) return;
  const Run run(a, index);
  const int lane = static_cast<int>(threadIdx.x % 32);
  const int vectors = a.in / kVector, window = a.kernel * a.kernel * vectors;
  float sum[kPixels][Outputs] = {};
  for (int i = lane; i < window; i += 32) {
    const int tap = i / vectors, channel = i % vectors * kVector;
    const int y = run.y * a.stride - a.pad + tap / a.kernel, left = run.x * a.stride - a.pad + tap % a.kernel;
    if (y < 0 || y >= a.height) continue;
    Numbers<kVector> w[Outputs];
#pragma unroll
    for (int o = 0; o < Outputs; ++o)
      w[o] = load<kVector>(a.weights, static_cast<int64_t>(o) * window * kVector + static_cast<int64_t>(i) * kVector);
    const int64_t row = (run.picture * a.height + y) * a.width;
#pragma unroll
    for (int p = 0; p < kPixels; ++p) {
      const int x = left + p * a.stride;
      if (x < 0 || x >= a.width) continue;
      const Numbers<kVector> v = load<kVector>(a.x, (row + x) * a.in + channel);
#pragma unroll
      for (int o = 0; o < Outputs; ++o)
#pragma unroll
        for (int k = 0; k < kVector; ++k) sum[p][o] = fmaf(v.v[k], w[o].v[k], sum[p][o]);
    }
  }
  float mine = 0;
#pragma unroll
  for (int p = 0; p < kPixels; ++p) {
#pragma unroll
    for (int o = 0; o < Outputs; ++o) {
      const float total = warp_sum(sum[p][o]);
      if (lane == p * Outputs + o) mine = total;
    }
  }
  const int p = lane / Outputs;
  if (p < kPixels && run.x + p < a.out_width) finish<1>(a, {mine}, run.pixel(a, p), lane % Outputs);
}

constexpr int kThreads = 256, kColumns = 32;  // of a block; groups of eight output channels of a block
constexpr int kWeights = 12288;               // floats of a block: 48 KiB, which every card has
constexpr unsigned kMostBlocks = 512;         // loading the weights costs a block as much as several runs

// Computes eight channels of a run, from `channel` on. weights: of these channels, (9 in) rows of `channels`.
__device__ inline void few_inputs_run(const ConvArgs& a, const Run& run, const float* weights, int channels,
                                      int channel) {
  Numbers<kVector> sum[kPixels] = {};
  for (int ky = 0; ky < 3; ++ky) {
    const int y = run.y - a.pad + ky;
    if (y < 0 || y >= a.height) continue;
    const int64_t row = (run.picture * a.height + y) * a.width;
    for (int i = 0; i < a.in; ++i) {
      float values[kPixels + 2];
#pragma unroll
      for (int p = 0; p < kPixels + 2; ++p) {
        const int x = run.x - a.pad + p;
        values[p] = x >= 0 && x < a.width ? load<1>(a.x, (row + x) * a.in + i).v[0] : 0;
      }
#pragma unroll
      for (int kx = 0; kx < 3; ++kx) {
        const float* w = weights + ((ky * 3 + kx) * a.in + i) * channels;
        const float4 low = reinterpret_cast<const float4*>(w)[0], high = reinterpret_cast<const float4*>(w)[1];
        const float eight[kVector] = {low.x, low.y, low.z, low.w, high.x, high.y, high.z, high.w};
#pragma unroll
        for (int p = 0; p < kPixels; ++p)
#pragma unroll
          for (int k = 0; k < kVector; ++k) sum[p].v[k] = fmaf(values[p + kx], eight[k], sum[p].v[k]);
      }
    }
  }
#pragma unroll
  for (int p = 0; p < kPixels; ++p)
    if (run.x + p < a.out_width) finish<kVector>(a, sum[p], run.pixel(a, p), channel);
}

// Stride 1, kernels of 3 x 3. A block computes up to 256 output channels and keeps their weights in shared memory as
// f32 (tap, channel). A thread computes eight of them for several runs of pixels, and reads each row of their windows
// once.
template <DType T>
__global__ void __launch_bounds__(kThreads) few_inputs_kernel(ConvArgs a, int64_t runs, int channels) {
  extern __shared__ float weights[];  // (9 in, channels)
  a.x.type = a.weights.type = T;
  const int first = static_cast<int>(blockIdx.y) * channels, taps = 9 * a.in;
  const int mine = min(channels, a.out_channels - first);
  const int thread = static_cast<int>(threadIdx.y * blockDim.x + threadIdx.x);
  for (int i = thread; i < taps * mine; i += static_cast<int>(blockDim.x * blockDim.y))
    weights[i / mine * channels + i % mine] =
        load<1>(a.weights, static_cast<int64_t>(first + i % mine) * taps + i / mine).v[0];
  __syncthreads();
  const int column = static_cast<int>(threadIdx.x) * kVector;
  if (column >= mine) return;
  for (int64_t index = static_cast<int64_t>(blockIdx.x) * blockDim.y + threadIdx.y; index < runs;
       index += static_cast<int64_t>(gridDim.x) * blockDim.y)
    few_inputs_run(a, Run(a, index), weights + column, channels, first + column);
}

template <int Outputs>
void few_outputs(const ConvArgs& a, cudaStream_t stream) {
  const int64_t runs = runs_of(a);
  with_type(a.x.type, [&](auto type) {
    few_outputs_kernel<Outputs, type()><<<blocks_for(runs, kWarps), 32 * kWarps, 0, stream>>>(a, runs);
  });
}

}  // namespace

void conv_few_outputs(const ConvArgs& a, cudaStream_t stream) {
  if (few_outputs_by_mma(a, stream)) return;
  switch (a.out_channels) {
    case 1:
      return few_outputs<1>(a, stream);
    case 2:
      return few_outputs<2>(a, stream);
    case 3:
      return few_outputs<3>(a, stream);
    default:
      return few_outputs<4>(a, stream);
  }
}

void conv_few_inputs(const ConvArgs& a, cudaStream_t stream) {
  if (a.x.type != DType::f32 && a.in <= 4) return few_inputs_by_mma(a, stream);
  const int64_t runs = runs_of(a);
  const int most = std::min(kColumns, kWeights / (9 * a.in * kVector));
  const int eights = a.out_channels / kVector, parts = (eights + most - 1) / most;
  const int columns = (eights + parts - 1) / parts, channels = columns * kVector;
  const dim3 block(static_cast<unsigned>(columns), static_cast<unsigned>(kThreads / columns));
  const dim3 grid(std::min(blocks_for(runs, block.y), kMostBlocks), static_cast<unsigned>(parts));
  const size_t shared = static_cast<size_t>(9 * a.in * channels) * sizeof(float);
  with_type(a.x.type,
            [&](auto type) { few_inputs_kernel<type()><<<grid, block, shared, stream>>>(a, runs, channels); });
}

}  // namespace tempera::cuda
