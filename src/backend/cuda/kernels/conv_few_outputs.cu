// Convolutions of 3 x 3 pixels, stride 1, from many channels to at most four, in half precision on mma.sync tensor core
// instructions. Reading the input is the bottleneck, so a block reads each pixel once and multiplies it with all nine
// taps together. These are 36 columns (tap, output), which fill the tensor core instructions better than four. A block
// does this for the input of 16 x 16 outputs and a border of one pixel. Then it adds up nine of these products for each
// output.
//
// K is divided into steps of 32 channels, two products each. Thread t of a row has channels 8t to 8t + 7. Four of them
// are its pairs at 2t and 2t + 8 of the first product, the other four those of the second. So a thread loads pixels
// from device memory directly into the operand registers, in accesses of 16 bytes, without shared memory. Four
// neighbouring threads read 64 bytes.
//
// [8x128x128x320] x [4x320x3x3], f16, one H100; 85 MB, which need 28 us at the memory bandwidth:
//   320 us  products in f32, eight outputs per warp (few_outputs_kernel in conv_narrow.cu, still used for f32 and for
//           all other kernel sizes)
//    46 us  this kernel
#include "backend/cuda/kernels/conv_narrow.cuh"
#include "backend/cuda/kernels/launch.cuh"
#include "backend/cuda/kernels/mma.cuh"

namespace tempera::cuda {
namespace {

constexpr int kSide = 16, kInputSide = kSide + 2, kInputs = kInputSide * kInputSide;  // pixels of a block
constexpr int kOutputs = 4, kTaps = 9;
constexpr int kColumns = 40;          // nine taps of four outputs, padded with zeros
constexpr int kWarps = 7, kRows = 3;  // kRows: of a warp, in units of 16 input pixels
static_assert(kWarps * kRows * 16 >= kInputs);
constexpr int kThreads = 32 * kWarps;
constexpr int kStep = 32 / kVector, kStepVectors = kColumns * kStep;  // vectors of a step: of a pixel; of the weights
// Shared memory holds the weights as (step, column, thread t), later the products as (tap, pixel, output).
constexpr int kMostSteps = kTaps * kInputs / kStepVectors;

struct Block {
  const ConvArgs& a;
  int vectors, left, top;  // vectors: per pixel
  const uint4* input;      // of the picture
  __device__ explicit Block(const ConvArgs& args) : a(args), vectors(args.in / kVector) {
    left = static_cast<int>(blockIdx.x) * kSide, top = static_cast<int>(blockIdx.y) * kSide;
    input = static_cast<const uint4*>(a.x.data) + static_cast<int64_t>(blockIdx.z) * a.height * a.width * vectors;
  }

  // The index of the first vector of an input pixel of the block; -1 for pixels outside of the picture.
  __device__ int start(int pixel) const {
    const int y = top - a.pad + pixel / kInputSide, x = left - a.pad + pixel % kInputSide;
    if (pixel >= kInputs || y < 0 || y >= a.height || x < 0 || x >= a.width) return -1;
    return (y * a.width + x) * vectors;
  }

  __device__ void load_weights(uint4* to) const {
    const auto* from = static_cast<const uint4*>(a.weights.data);
    const int all = (vectors + kStep - 1) / kStep * kStepVectors;
    for (int i = static_cast<int>(threadIdx.x); i < all; i += kThreads) {
      const int vector = i / kStepVectors * kStep + i % kStep, column = i / kStep % kColumns;
      const int tap = column / kOutputs, output = column % kOutputs;
      const bool there = tap < kTaps && output < a.out_channels && vector < vectors;
      to[i] = there ? from[(output * kTaps + tap) * vectors + vector] : make_uint4(0, 0, 0, 0);
    }
  }

  // Stores the products of thread t for the pixels first + 16 r + 8 half, in pairs of outputs; zeros for pixels
  // outside.
  __device__ void keep(const float (&products)[kRows][kColumns / 8][4], int first, int t, float2* to) const {
#pragma unroll
    for (int r = 0; r < kRows; ++r)
#pragma unroll
      for (int half = 0; half < 2; ++half) {
        const int pixel = first + 16 * r + 8 * half;
        const bool there = start(pixel) >= 0;
#pragma unroll
        for (int j = 0; j < kColumns / 8; ++j) {
          const int tap = 2 * j + t / 2;
          const float2 pair = make_float2(products[r][j][2 * half], products[r][j][2 * half + 1]);
          if (pixel < kInputs && tap < kTaps)
            to[2 * (tap * kInputs + pixel) + t % 2] = there ? pair : make_float2(0, 0);
        }
      }
  }

  // Adds up the nine products of each output.
  __device__ void add_up(const float4* products) const {
    for (int i = static_cast<int>(threadIdx.x); i < kSide * kSide; i += kThreads) {
      const int row = i / kSide, column = i % kSide, y = top + row, x = left + column;
      if (y >= a.out_height || x >= a.out_width) continue;
      float sums[kOutputs] = {};
#pragma unroll
      for (int tap = 0; tap < kTaps; ++tap) {
        const float4 p = products[tap * kInputs + (row + tap / 3) * kInputSide + column + tap % 3];
        sums[0] += p.x, sums[1] += p.y, sums[2] += p.z, sums[3] += p.w;
      }
      const int64_t pixel = ((static_cast<int64_t>(blockIdx.z) * a.out_height + y) * a.out_width + x) * a.out_channels;
#pragma unroll
      for (int output = 0; output < kOutputs; ++output)
        if (output < a.out_channels) finish<1>(a, {sums[output]}, pixel, output);
    }
  }
};

// Two blocks per multiprocessor.
template <class T>
__global__ void __launch_bounds__(kThreads, 2) few_outputs_kernel(const ConvArgs a) {
  __shared__ float4 shared[kTaps * kInputs];
  auto* weights = reinterpret_cast<uint4*>(shared);
  const Block block(a);
  const int lane = static_cast<int>(threadIdx.x % 32), g = lane / 4, t = lane % 4;
  const int first = static_cast<int>(threadIdx.x / 32) * kRows * 16 + g;  // pixels first + 16 r + 8 half
  int starts[kRows][2];
#pragma unroll
  for (int r = 0; r < kRows; ++r)
#pragma unroll
    for (int half = 0; half < 2; ++half) starts[r][half] = max(block.start(first + 16 * r + 8 * half), 0);
  // Pixels outside of the picture and channels past the end are replaced by existing ones. The products of such pixels
  // are not stored, and the weights of such channels are zero.
  const auto load = [&](uint4(&pixels)[kRows][2], int step) {
    const int vector = min(step * kStep + t, block.vectors - 1);
#pragma unroll
    for (int r = 0; r < kRows; ++r)
#pragma unroll
      for (int half = 0; half < 2; ++half) pixels[r][half] = block.input[starts[r][half] + vector];
  };

  begin();
  uint4 next[kRows][2];
  load(next, 0);
  block.load_weights(weights);
  __syncthreads();
  float products[kRows][kColumns / 8][4] = {};
  for (int step = 0; step * kStep < block.vectors; ++step) {
    uint4 now[kRows][2];
#pragma unroll
    for (int r = 0; r < kRows; ++r) now[r][0] = next[r][0], now[r][1] = next[r][1];
    if ((step + 1) * kStep < block.vectors) load(next, step + 1);
#pragma unroll
    for (int j = 0; j < kColumns / 8; ++j) {
      const uint4 w = weights[step * kStepVectors + j * 32 + lane];
#pragma unroll
      for (int r = 0; r < kRows; ++r) {
        const uint4 &low = now[r][0], &high = now[r][1];
        Half<T>::mma(products[r][j], {low.x, high.x, low.y, high.y}, w.x, w.y);
        Half<T>::mma(products[r][j], {low.z, high.z, low.w, high.w}, w.z, w.w);
      }
    }
  }
  __syncthreads();  // all threads have read the weights
  block.keep(products, first, t, reinterpret_cast<float2*>(shared));
  __syncthreads();
  block.add_up(shared);
}

}  // namespace

bool few_outputs_by_mma(const ConvArgs& a, cudaStream_t stream) {
  const int steps = (a.in / kVector + kStep - 1) / kStep;
  if (a.x.type == DType::f32 || a.kernel != 3 || a.stride != 1 || steps > kMostSteps) return false;
  const dim3 grid(blocks_for(a.out_width, kSide), blocks_for(a.out_height, kSide), static_cast<unsigned>(a.pictures));
  if (a.x.type == DType::f16) {
    launch_early(few_outputs_kernel<__half>, grid, dim3(kThreads), 0, stream, a);
  } else {
    launch_early(few_outputs_kernel<__nv_bfloat16>, grid, dim3(kThreads), 0, stream, a);
  }
  return true;
}

}  // namespace tempera::cuda
