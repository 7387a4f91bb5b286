// Convolution of any shape and type, without tensor cores, for the problems that no other kernel supports. A thread
// computes one output channel of a few neighbouring pixels. Consecutive threads compute consecutive channels, so the
// threads of a warp read the same input elements (broadcast).
#include "backend/cuda/kernels/access.cuh"

namespace tempera::cuda {
namespace {

constexpr int kThreads = 256, kPixels = 4;

template <int V>
__global__ void __launch_bounds__(kThreads) conv_kernel(ConvArgs a) {
  const int64_t pixels = static_cast<int64_t>(a.pictures) * a.out_height * a.out_width;
  const int64_t thread = static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  const int channel = static_cast<int>(thread % a.out_channels);
  const int64_t first = thread / a.out_channels * kPixels;
  if (first >= pixels) return;

  // The top left corner of each pixel's window, and the first element of its picture. Pixels past the end repeat the
  // last.
  int top[kPixels], left[kPixels];
  int64_t picture[kPixels];
  float sum[kPixels];
#pragma unroll
  for (int p = 0; p < kPixels; ++p) {
    const int64_t pixel = first + p < pixels ? first + p : pixels - 1;
    const int64_t row = pixel / a.out_width;
    left[p] = static_cast<int>(pixel % a.out_width) * a.stride - a.pad;
    top[p] = static_cast<int>(row % a.out_height) * a.stride - a.pad;
    picture[p] = row / a.out_height * a.height * a.width * a.in;
    sum[p] = 0;
  }
  for (int ky = 0; ky < a.kernel; ++ky)
    for (int kx = 0; kx < a.kernel; ++kx) {
      const int64_t tap = ((static_cast<int64_t>(channel) * a.kernel + ky) * a.kernel + kx) * a.in;
      int64_t at[kPixels];
      bool inside[kPixels];
#pragma unroll
      for (int p = 0; p < kPixels; ++p) {
        const int y = top[p] + ky, x = left[p] + kx;
        inside[p] = y >= 0 && y < a.height && x >= 0 && x < a.width;
        at[p] = inside[p] ? picture[p] + (static_cast<int64_t>(y) * a.width + x) * a.in : 0;
      }
      for (int i = 0; i < a.in; i += V) {
        const Numbers<V> w = load<V>(a.weights, tap + i);
#pragma unroll
        for (int p = 0; p < kPixels; ++p) {
          if (!inside[p]) continue;
          const Numbers<V> x = load<V>(a.x, at[p] + i);
#pragma unroll
          for (int k = 0; k < V; ++k) sum[p] = fmaf(w.v[k], x.v[k], sum[p]);
        }
      }
    }
#pragma unroll
  for (int p = 0; p < kPixels; ++p) {
    if (first + p >= pixels) break;
    const int64_t at = (first + p) * a.out_channels + channel;
    float y = sum[p];
    if (a.bias.data != nullptr) y += load<1>(a.bias, channel).v[0];
    y = apply(a.activation, y);
    if (a.residual.data != nullptr) y += load<1>(a.residual, at).v[0];
    store<1>(a.out, at, {y});
  }
}

}  // namespace

void conv_direct(const ConvArgs& a, cudaStream_t stream) {
  const int64_t pixels = static_cast<int64_t>(a.pictures) * a.out_height * a.out_width;
  const unsigned blocks = blocks_for((pixels + kPixels - 1) / kPixels * a.out_channels, kThreads);
  if (a.in % kVector == 0) {
    conv_kernel<kVector><<<blocks, kThreads, 0, stream>>>(a);
  } else {
    conv_kernel<1><<<blocks, kThreads, 0, stream>>>(a);
  }
}

}  // namespace tempera::cuda
