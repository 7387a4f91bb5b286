// Noise equal to torch.randn on CUDA. The host's generator (sampling/rng.cpp) defines every step and cites its source.
// This kernel does the same arithmetic, with f64 in the same functions, so that a seed gives one picture on every
// device. Host and card differ only where their sin and log differ, in the last digit of single values.
#include "backend/cuda/kernels/access.cuh"

namespace tempera::cuda {
namespace {

constexpr int kThreads = 256;
constexpr int kPerCounter = 4;
constexpr int kPhaseBits = 25;
constexpr uint32_t kQuarter = 1u << (kPhaseBits - 2);

struct Bits {
  uint32_t v[kPerCounter];
};

// Philox4x32-10 of the 128-bit counter (counter, thread).
__device__ Bits philox(uint64_t seed, uint64_t counter, uint64_t thread) {
  Bits c = {{static_cast<uint32_t>(counter), static_cast<uint32_t>(counter >> 32), static_cast<uint32_t>(thread),
             static_cast<uint32_t>(thread >> 32)}};
  auto key0 = static_cast<uint32_t>(seed), key1 = static_cast<uint32_t>(seed >> 32);
#pragma unroll
  for (int round = 0; round < 10; ++round) {
    const uint64_t a = uint64_t{0xD2511F53} * c.v[0], b = uint64_t{0xCD9E8D57} * c.v[2];
    c = {{static_cast<uint32_t>(b >> 32) ^ c.v[1] ^ key0, static_cast<uint32_t>(b),
          static_cast<uint32_t>(a >> 32) ^ c.v[3] ^ key1, static_cast<uint32_t>(a)}};
    key0 += 0x9E3779B9u;
    key1 += 0xBB67AE85u;
  }
  return c;
}

__device__ float sine(uint32_t phase) {
  const uint32_t quadrant = phase / kQuarter % 4;
  const uint32_t place = quadrant % 2 == 0 ? phase % kQuarter : kQuarter - 1 - phase % kQuarter;
  const double value = sin(place * (1.5707963267948966 / kQuarter));
  return static_cast<float>(quadrant < 2 ? value : -value);
}

// A pair of normal values.
__device__ void box_muller(uint32_t radius_bits, uint32_t angle_bits, float* pair) {
  constexpr float kAngle = 0x1p-32f * static_cast<float>(2 * 3.141592653589793);
  const float u = fmaf(static_cast<float>(radius_bits), 0x1p-32f, 0x1p-33f);
  const float angle = fmaf(static_cast<float>(angle_bits), kAngle, kAngle / 2);
  const float radius = sqrtf(-2.0f * static_cast<float>(log(static_cast<double>(u))));
  const float turns = __double2float_rz(static_cast<double>(angle) * static_cast<double>(0.15915494f));
  const auto phase = static_cast<uint32_t>(turns * static_cast<float>(1u << kPhaseBits));
  pair[0] = radius * sine(phase);
  pair[1] = radius * sine(phase + kQuarter);
}

// Each thread computes one counter. A thread of PyTorch computes `rounds` of them in sequence.
__global__ void __launch_bounds__(kThreads)
    normal_kernel(NormalArgs args, int64_t threads, int64_t rounds, float* out) {
  const int64_t i = static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  if (i >= rounds * threads) return;
  const int64_t thread = i % threads, round = i / threads;
  const int64_t elements = args.channels * args.pixels;
  const Bits bits = philox(args.seed, args.counter + static_cast<uint64_t>(round), static_cast<uint64_t>(thread));
  for (int k = 0; k < kPerCounter; k += 2) {
    const auto stride = static_cast<int64_t>(args.threads);
    int64_t element = thread + stride * (round * kPerCounter + k);
    if (element >= elements) return;
    float pair[2];
    box_muller(bits.v[k], bits.v[k + 1], pair);
    for (int j = 0; j < 2 && element < elements; ++j, element += stride)
      out[element % args.pixels * args.channels + element / args.pixels] = pair[j] * args.scale;
  }
}

}  // namespace

void normal(const NormalArgs& args, float* out, cudaStream_t stream) {
  const int64_t elements = args.channels * args.pixels, stride = static_cast<int64_t>(args.threads);
  const int64_t threads = elements < stride ? elements : stride;
  const int64_t rounds = (elements - 1) / (stride * kPerCounter) + 1;
  normal_kernel<<<blocks_for(rounds * threads, kThreads), kThreads, 0, stream>>>(args, threads, rounds, out);
}

}  // namespace tempera::cuda
