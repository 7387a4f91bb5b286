// Convolutions of 3 x 3 pixels, stride 1, from at most four channels to many, in half precision on mma.sync tensor core
// instructions. Writing the output is the bottleneck. A warp keeps the weights of 32 output channels in registers and
// loops over the pixels of the block's tile. All warps share the input of the tile in shared memory.
//
// K is (tap, channel), four channels a tap and four taps a step of 16. Thread t of a row has tap t of the step, in its
// pairs at 2t and 2t + 8, so that one access of eight bytes fills both. Column 2u + e of the j-th product of a warp is
// output channel 8u + 2j + e, so that the sums of a thread are eight neighbouring channels, stored with one access of
// 16 bytes.
//
// [8x128x128x4] x [320x4x3x3], f16, one H100; 85 MB, which need 28 us at the memory bandwidth:
//   283 us  products in f32 (few_inputs_kernel in conv_narrow.cu, still used for f32)
//    45 us  this kernel
#include <algorithm>

#include "backend/cuda/kernels/conv_narrow.cuh"
#include "backend/cuda/kernels/launch.cuh"
#include "backend/cuda/kernels/mma.cuh"

namespace tempera::cuda {
namespace {

constexpr int kWidth = 64, kHeight = 4;  // output pixels of a block
constexpr int kPitch = kWidth + 8;       // pitch of the tile's rows; taps of two rows are in different banks
constexpr int kTaps = 9, kSteps = 3;     // steps of four taps; taps after the ninth are zeros
constexpr int kChannels = 32;            // of a warp
constexpr int kMostWarps = 10;

// The channels of an input pixel, or of a tap of the weights, as four halves.
__device__ inline uint2 four_halves(const void* data, int64_t pixel, int in) {
  if (in == 4) return static_cast<const uint2*>(data)[pixel];
  const uint16_t* p = static_cast<const uint16_t*>(data) + pixel * in;
  const uint32_t second = in > 1 ? p[1] : 0, third = in > 2 ? p[2] : 0;
  return make_uint2(p[0] | second << 16, third);
}

// The block's tile of the output.
struct Tile {
  int left, top;
  int64_t picture;
  __device__ explicit Tile(const ConvArgs& a) {
    const int across = (a.out_width + kWidth - 1) / kWidth, down = (a.out_height + kHeight - 1) / kHeight;
    const int index = static_cast<int>(blockIdx.x);
    left = index % across * kWidth;
    top = index / across % down * kHeight;
    picture = index / across / down;
  }
};

// Loads the input of the tile with a border of one pixel; zeros outside of the picture.
__device__ inline void load_input(const ConvArgs& a, const Tile& tile, uint2* to) {
  constexpr int kColumns = kWidth + 2, kPixels = kColumns * (kHeight + 2);
  for (int i = static_cast<int>(threadIdx.x); i < kPixels; i += static_cast<int>(blockDim.x)) {
    const int row = i / kColumns, column = i % kColumns, y = tile.top - a.pad + row, x = tile.left - a.pad + column;
    const bool inside = y >= 0 && y < a.height && x >= 0 && x < a.width;
    to[row * kPitch + column] =
        inside ? four_halves(a.x.data, (tile.picture * a.height + y) * a.width + x, a.in) : make_uint2(0, 0);
  }
}

template <class T>
__global__ void __launch_bounds__(32 * kMostWarps) few_inputs_kernel(ConvArgs a) {
  __shared__ uint2 input[(kHeight + 2) * kPitch];
  const int lane = static_cast<int>(threadIdx.x % 32), g = lane / 4, t = lane % 4;
  const int warp = static_cast<int>((blockIdx.y * blockDim.x + threadIdx.x) / 32), first = warp * kChannels;
  const Tile tile(a);
  begin();
  uint2 weights[kChannels / 8][kSteps];
  int taps[kSteps];  // offsets from the first pixel of a window
#pragma unroll
  for (int s = 0; s < kSteps; ++s) {
    const int tap = min(4 * s + t, kTaps - 1);
    taps[s] = tap / 3 * kPitch + tap % 3;
#pragma unroll
    for (int j = 0; j < kChannels / 8; ++j) {
      const int channel = first + g / 2 * 8 + 2 * j + g % 2;
      const bool there = 4 * s + t < kTaps && channel < a.out_channels;
      weights[j][s] =
          there ? four_halves(a.weights.data, static_cast<int64_t>(channel) * kTaps + tap, a.in) : make_uint2(0, 0);
    }
  }
  load_input(a, tile, input);
  __syncthreads();
  const int channel = first + 8 * t;
  for (int i = 0; i < kHeight * kWidth / 16; ++i) {
    const int row = i / (kWidth / 16), column = i % (kWidth / 16) * 16, y = tile.top + row;
    if (y >= a.out_height || tile.left + column >= a.out_width) continue;
    float sums[kChannels / 8][4] = {};
#pragma unroll
    for (int s = 0; s < kSteps; ++s) {
      const uint2* at = input + row * kPitch + column + g + taps[s];
      const bool there = 4 * s + t < kTaps;
      const uint2 low = there ? at[0] : make_uint2(0, 0), high = there ? at[8] : make_uint2(0, 0);
      const uint32_t pixels[4] = {low.x, high.x, low.y, high.y};
#pragma unroll
      for (int j = 0; j < kChannels / 8; ++j) Half<T>::mma(sums[j], pixels, weights[j][s].x, weights[j][s].y);
    }
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      const int x = tile.left + column + g + 8 * half;
      if (x >= a.out_width || channel >= a.out_channels) continue;
      Numbers<kVector> result;
#pragma unroll
      for (int k = 0; k < kVector; ++k) result.v[k] = sums[k / 2][2 * half + k % 2];
      finish<kVector>(a, result, ((tile.picture * a.out_height + y) * a.out_width + x) * a.out_channels, channel);
    }
  }
}

}  // namespace

void few_inputs_by_mma(const ConvArgs& a, cudaStream_t stream) {
  const int all = (a.out_channels + kChannels - 1) / kChannels, parts = (all + kMostWarps - 1) / kMostWarps;
  const int warps = (all + parts - 1) / parts;
  const unsigned tiles = blocks_for(a.out_width, kWidth) * blocks_for(a.out_height, kHeight);
  const dim3 grid(tiles * static_cast<unsigned>(a.pictures), static_cast<unsigned>(parts));
  const dim3 block(static_cast<unsigned>(32 * warps));
  if (a.x.type == DType::f16) return launch_early(few_inputs_kernel<__half>, grid, block, 0, stream, a);
  launch_early(few_inputs_kernel<__nv_bfloat16>, grid, block, 0, stream, a);
}

}  // namespace tempera::cuda
