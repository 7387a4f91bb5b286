// threshold_sample: the range of each picture by one block, then every element. The quantile needs two order
// statistics. A block finds one by the digits of the bits of |x|, highest first, without memory for the picture.
#include "backend/cuda/kernels/access.cuh"

namespace tempera::cuda {
namespace {

constexpr int kThreads = 256;
constexpr int kRangeThreads = 1024;
constexpr int kDigits = 256;  // of 8 bits

__device__ inline float coefficient(const ThresholdArgs& args, int64_t picture, int index) {
  return args.step.data[picture * args.step.length + index];
}

// The place of the picture's thresholded form, 0 for none.
__device__ inline int64_t slot_of(const ThresholdArgs& args, int64_t picture) {
  const auto slot = static_cast<int64_t>(coefficient(args, picture, StepLayout::kThresholdSlot));
  return slot > 0 && slot < args.slots ? slot : 0;
}

// Element i of the predicted picture. Both kernels compute the same bits.
__device__ inline float predicted(const ThresholdArgs& args, int64_t picture, int64_t i) {
  const float x = args.state[picture * args.slots * args.elements + i];
  const float p = load<1>(args.prediction, picture * args.elements + i).v[0];
  return static_cast<float>(
      static_cast<double>(coefficient(args, picture, StepLayout::kThresholdOfSample)) * static_cast<double>(x) +
      static_cast<double>(coefficient(args, picture, StepLayout::kThresholdOfPrediction)) * static_cast<double>(p));
}

// The |x| with `rank` smaller ones. Every thread of the block has the result.
__device__ float order_statistic(const ThresholdArgs& args, int64_t picture, int64_t rank) {
  __shared__ unsigned long long with_digit[kDigits];
  __shared__ unsigned found;
  __shared__ long long left;
  unsigned prefix = 0, known = 0;
  for (int shift = 24; shift >= 0; shift -= 8) {
    if (threadIdx.x < kDigits) with_digit[threadIdx.x] = 0;
    __syncthreads();
    for (int64_t i = threadIdx.x; i < args.elements; i += kRangeThreads) {
      const unsigned bits = __float_as_uint(fabsf(predicted(args, picture, i)));
      if ((bits & known) == prefix) atomicAdd(&with_digit[(bits >> shift) & (kDigits - 1)], 1ull);
    }
    __syncthreads();
    if (threadIdx.x == 0) {
      unsigned digit = 0;
      while (rank >= static_cast<long long>(with_digit[digit])) rank -= static_cast<long long>(with_digit[digit++]);
      found = digit;
      left = rank;
    }
    __syncthreads();
    rank = left;
    prefix |= found << shift;
    known |= static_cast<unsigned>(kDigits - 1) << shift;
    __syncthreads();
  }
  return __uint_as_float(prefix);
}

__global__ void __launch_bounds__(kRangeThreads) range_kernel(ThresholdArgs args) {
  const int64_t picture = blockIdx.x;
  if (slot_of(args, picture) == 0) return;  // the same in every thread
  const float ratio = fminf(fmaxf(coefficient(args, picture, StepLayout::kThresholdRatio), 0), 1);
  const double at = static_cast<double>(ratio) * static_cast<double>(args.elements - 1);
  const auto below = static_cast<int64_t>(at);
  const float low = order_statistic(args, picture, below);
  const float high = order_statistic(args, picture, below + 1 < args.elements ? below + 1 : below);
  const float quantile = low + static_cast<float>(at - static_cast<double>(below)) * (high - low);
  if (threadIdx.x == 0)
    args.ranges[picture] = fminf(fmaxf(quantile, 1), coefficient(args, picture, StepLayout::kThresholdMax));
}

// One thread for an element of a slot. Slot 0 is read before the picture's slot is written, and is another.
__global__ void threshold_kernel(ThresholdArgs args) {
  const int64_t at = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
  if (at >= args.pictures * args.elements) return;
  const int64_t picture = at / args.elements, i = at - picture * args.elements;
  const int64_t slot = slot_of(args, picture);
  const int64_t first = picture * args.slots * args.elements + i;
  float value = 0;
  if (slot != 0) {
    const float range = args.ranges[picture];
    value = fminf(fmaxf(predicted(args, picture, i), -range), range) / range;
  }
  for (int64_t k = 0; k < args.slots; ++k)
    args.out[first + k * args.elements] = k == slot && slot != 0 ? value : args.state[first + k * args.elements];
}

}  // namespace

void threshold_sample(const ThresholdArgs& args, cudaStream_t stream) {
  range_kernel<<<static_cast<unsigned>(args.pictures), kRangeThreads, 0, stream>>>(args);
  threshold_kernel<<<blocks_for(args.pictures * args.elements, kThreads), kThreads, 0, stream>>>(args);
}

}  // namespace tempera::cuda
