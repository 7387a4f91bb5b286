// The products of hopper_product.h in f32, on tensor cores whose operands have 10 bits of mantissa (TF32). x is split
// into x1 + x2 and w into w1 + w2, where x1 and w1 are the parts that TF32 keeps. x w is x1 w1 + x1 w2 + x2 w1 with a
// relative error of 2^-21. Tensor cores round their sums towards zero. So each of their sums is over 128 of k, and
// these sums are added by f32 instructions (Ootomo and Yokota 2022).
//
// There is one block per multiprocessor. Warpgroup 0 fills a ring of stages (32 columns of x and w) with the copy
// engine. Warpgroup 1 writes w2 of every stage. Warpgroups 2 and 3 compute 64 rows of x each. They split x in registers
// and use w as w1, because the hardware ignores the bits in which the two differ. On an H100:
//
//    x             w              time     TFLOP/s
//    (8192, 1280)  (1280, 1280)    251 us  107
//    (8192, 1280)  (3840, 1280)    617 us  131
//    (8192, 5120)  (1280, 5120)    849 us  127
//    (8192, 1280)  gated to 5120  1671 us  129
// Three products at the TF32 peak of 495 TFLOP/s would reach 165. cuBLASLt with f32 instructions reaches 48.
#pragma once

#include "backend/cuda/kernels/fast_gelu.cuh"
#include "backend/cuda/kernels/hopper_cut.cuh"
#include "backend/cuda/kernels/launch.cuh"

namespace tempera::cuda {

inline constexpr int kFloats = 32;       // of k in a stage: 128 bytes
inline constexpr int kTogether = 4;      // stages that tensor cores add up
inline constexpr int kThreadsF32 = 512;  // two warpgroups that copy and split, two that multiply
inline constexpr uint32_t kKept = 0xffffe000u, kHalf = 0x1000u;  // the bits that TF32 keeps; half of the last

template <int ColumnsOf, bool GatedOf>
struct SplitCut {
  static constexpr int kColumns = ColumnsOf, kCluster = 1, kTileRows = 128;
  static constexpr bool kGated = GatedOf;
  static constexpr int kSums = kColumns / 2;
  static constexpr int kOutColumns = kGated ? kColumns / 2 : kColumns;
  static constexpr uint32_t kXBytes = kTileRows * 128, kWBytes = kColumns * 128, kStageBytes = kXBytes + kWBytes;
  static constexpr uint32_t kBarrierBytes = 256;
  static constexpr int kRests = 3;  // stages of w2
  static constexpr int kStages = static_cast<int>((kSharedMost - kBarrierBytes - kRests * kWBytes) / kStageBytes);
  static constexpr uint32_t kRest = kStages * kStageBytes, kBarriers = kRest + kRests * kWBytes;
  static constexpr uint32_t kBytes = kBarriers + kBarrierBytes;
  static_assert(kStages >= 3 && kStages <= 8 && kWBytes % 2048 == 0 && kOutColumns % 8 == 0);
};

// full[s] and empty[s]: of a stage of x and w; ready[r] and free[r]: of a stage of w2.
struct SplitBarriers {
  uint32_t base;
  __device__ uint32_t full(int stage) const { return base + 8u * static_cast<uint32_t>(stage); }
  __device__ uint32_t empty(int stage) const { return base + 64 + 8u * static_cast<uint32_t>(stage); }
  __device__ uint32_t ready(int rest) const { return base + 128 + 8u * static_cast<uint32_t>(rest); }
  __device__ uint32_t free(int rest) const { return base + 160 + 8u * static_cast<uint32_t>(rest); }
};

template <class C>
__device__ inline void fill(const HopperParams& p, uint32_t memory, SplitBarriers barriers) {
  prefetch_map(&p.x);
  if (p.x_blocks < p.k_blocks) prefetch_map(&p.tail);
  prefetch_map(&p.w);
  Ring<C::kStages> ring;
  for (int tile = static_cast<int>(blockIdx.x); tile < p.tiles; tile += static_cast<int>(gridDim.x)) {
    const Position at = position<C>(p, tile, 0);
    // Two boxes of weights: with C::kGated the values and the gates, else the two halves of the columns.
    const int second = at.column + (C::kGated ? p.n : C::kColumns / 2);
    for (int i = 0; i < p.k_blocks; ++i, ring.next()) {
      const uint32_t x = memory + static_cast<uint32_t>(ring.stage) * C::kStageBytes, w = x + C::kXBytes;
      const uint32_t full = barriers.full(ring.stage);
      const Columns k = columns<kFloats>(p, i);
      wait(barriers.empty(ring.stage), ring.parity ^ 1);
      arrive_and_expect(full, C::kStageBytes);
      load_box(x, k.from, k.x, at.row, full);
      load_box(w, &p.w, k.w, at.column, full);
      load_box(w + C::kWBytes / 2, &p.w, k.w, second, full);
    }
  }
}

// The part of a number that TF32 drops, rounded to TF32.
__device__ inline float rest_of(float x) {
  const float rest = x - __uint_as_float(__float_as_uint(x) & kKept);
  return __uint_as_float(__float_as_uint(rest) + kHalf);
}

template <class C>
__device__ inline void split_weights(const HopperParams& p, unsigned char* shared, SplitBarriers barriers) {
  Ring<C::kStages> ring;
  Ring<C::kRests> rest;
  for (int tile = static_cast<int>(blockIdx.x); tile < p.tiles; tile += static_cast<int>(gridDim.x))
    for (int i = 0; i < p.k_blocks; ++i, ring.next(), rest.next()) {
      const auto* from =
          reinterpret_cast<const float4*>(shared + static_cast<uint32_t>(ring.stage) * C::kStageBytes + C::kXBytes);
      auto* to = reinterpret_cast<float4*>(shared + C::kRest + static_cast<uint32_t>(rest.stage) * C::kWBytes);
      wait(barriers.full(ring.stage), ring.parity);
      wait(barriers.free(rest.stage), rest.parity ^ 1);
#pragma unroll 4
      for (uint32_t j = threadIdx.x % 128; j < C::kWBytes / 16; j += 128) {
        const float4 w = from[j];
        to[j] = {rest_of(w.x), rest_of(w.y), rest_of(w.z), rest_of(w.w)};
      }
      fence_for_copies();  // tensor cores read through the async proxy
      arrive(barriers.ready(rest.stage));
    }
}

template <class C>
struct SplitConsumer {
  const HopperParams& p;
  unsigned char* shared;
  uint32_t memory;
  SplitBarriers barriers;
  int index, lane, warp;  // consumer; in the warp; in the warpgroup
  float (&sums)[C::kSums];

  // Loads x of a stage in the operand layout: x[4 k + i] is operand i of product k.
  __device__ void load_x(int stage, float (&x)[16]) const {
    const unsigned char* mine = shared + static_cast<uint32_t>(stage) * C::kStageBytes +
                                static_cast<uint32_t>((index * 64 + warp * 16 + lane / 4) * 128 + lane % 4 * 4);
#pragma unroll
    for (int chunk = 0; chunk < 8; ++chunk) {
      const unsigned char* at = mine + static_cast<uint32_t>((chunk ^ (lane / 4)) * 16);
      const int to = chunk / 2 * 4 + chunk % 2 * 2;
      x[to] = *reinterpret_cast<const float*>(at);
      x[to + 1] = *reinterpret_cast<const float*>(at + 8 * 128);
    }
  }

  __device__ void release(int stage, int rest) const {
    if (lane != 0) return;
    arrive(barriers.empty(stage));
    arrive(barriers.free(rest));
  }

  __device__ void multiply(Ring<C::kStages>& ring, Ring<C::kRests>& rest) const {
    float part[C::kSums];
    uint32_t kept[16], dropped[16];
    int stage_before = 0, rest_before = 0;
    const auto finish = [&] {
      products_wait<0>();
      pin(part);
#pragma unroll
      for (int i = 0; i < 16; ++i) asm volatile("" : "+r"(kept[i]), "+r"(dropped[i])::"memory");
      release(stage_before, rest_before);
    };
    const auto add_part = [&] {
#pragma unroll
      for (int i = 0; i < C::kSums; ++i) sums[i] += part[i];
    };
    for (int i = 0; i < p.k_blocks; ++i, ring.next(), rest.next()) {
      float x[16];
      wait(barriers.full(ring.stage), ring.parity);
      load_x(ring.stage, x);
      if (i > 0) {
        finish();
        if (i % kTogether == 0) add_part();
      }
#pragma unroll
      for (int j = 0; j < 16; ++j) {
        kept[j] = (__float_as_uint(x[j]) + kHalf) & kKept;
        dropped[j] = __float_as_uint(x[j] - __uint_as_float(kept[j]));
      }
      const uint64_t w = matrix_descriptor(memory + static_cast<uint32_t>(ring.stage) * C::kStageBytes + C::kXBytes);
      const uint64_t w_rest = matrix_descriptor(memory + C::kRest + static_cast<uint32_t>(rest.stage) * C::kWBytes);
      wait(barriers.ready(rest.stage), rest.parity);
      products_fence();
#pragma unroll
      for (int k = 0; k < 4; ++k) {  // next 32 bytes in K, / 16
        const auto on = static_cast<uint64_t>(2 * k);
        WgmmaTf32<C::kColumns>::multiply_add(part, &dropped[4 * k], w + on, i % kTogether + k != 0);
        WgmmaTf32<C::kColumns>::multiply_add(part, &kept[4 * k], w_rest + on, 1);
        WgmmaTf32<C::kColumns>::multiply_add(part, &kept[4 * k], w + on, 1);
      }
      products_commit();
      stage_before = ring.stage;
      rest_before = rest.stage;
    }
    finish();
    add_part();
  }

  // Applies bias, activation or gate, and residual. Four lanes write a sector of 32 bytes.
  template <class Act>
  __device__ void write(const Position& at, Act act) const {
    const int first_row = at.row + index * 64 + warp * 16 + lane / 4, first_column = at.column + 2 * (lane % 4);
    const auto* bias = static_cast<const float*>(p.bias);
#pragma unroll
    for (int j = 0; j < C::kOutColumns / 8; ++j) {
      const int column = first_column + 8 * j;
      if (column >= p.n) break;
      float2 add{0, 0}, add_gate{0, 0};
      if (bias != nullptr) {
        add = *reinterpret_cast<const float2*>(bias + column);
        if constexpr (C::kGated) add_gate = *reinterpret_cast<const float2*>(bias + p.n + column);
      }
#pragma unroll
      for (int half = 0; half < 2; ++half) {
        const int row = first_row + half * 8;
        if (row >= p.m) continue;
        const float* s = &sums[4 * j + 2 * half];
        float2 pair{s[0] + add.x, s[1] + add.y};
        if constexpr (C::kGated) {
          const float* gate = &sums[4 * j + 2 * half + C::kSums / 2];
          pair.x *= fast_gelu(gate[0] + add_gate.x);
          pair.y *= fast_gelu(gate[1] + add_gate.y);
        } else {
          pair.x = act(pair.x);
          pair.y = act(pair.y);
        }
        const int64_t to = row * p.out_stride + column;
        if (p.residual_data != nullptr) {
          const float2 r = *reinterpret_cast<const float2*>(static_cast<const float*>(p.residual_data) + to);
          pair.x += r.x;
          pair.y += r.y;
        }
        *reinterpret_cast<float2*>(static_cast<float*>(p.out_data) + to) = pair;
      }
    }
  }

  __device__ void run() const {
    Ring<C::kStages> ring;
    Ring<C::kRests> rest;
    for (int tile = static_cast<int>(blockIdx.x); tile < p.tiles; tile += static_cast<int>(gridDim.x)) {
#pragma unroll
      for (float& sum : sums) sum = 0;
      multiply(ring, rest);
      const Position at = position<C>(p, tile, 0);
      if (C::kGated || p.activation == Activation::none) {
        write(at, [](float x) { return x; });
      } else if (p.activation == Activation::gelu) {
        write(at, [](float x) { return fast_gelu(x); });
      } else {
        const float factor = (p.activation == Activation::silu ? 1.0f : 1.702f) * -1.4426950408889634f;
        write(at, [factor](float x) { return __fdividef(x, 1 + exp2f(factor * x)); });
      }
    }
  }
};

// Empty for other architectures than Hopper, where hopper_product() is not called.
template <class C>
__global__ void __launch_bounds__(kThreadsF32, 1) split_product_kernel(const __grid_constant__ HopperParams p) {
#ifdef __CUDA_ARCH_FEAT_SM90_ALL
  extern __shared__ __align__(1024) unsigned char shared[];
  const uint32_t memory = shared_address(shared);
  const SplitBarriers barriers{memory + C::kBarriers};
  if (threadIdx.x == 0) {
    if (memory % 1024 != 0) __trap();  // the swizzle pattern starts at multiples of 1024
    for (int i = 0; i < C::kStages; ++i) {
      barrier_init(barriers.full(i), 1);
      barrier_init(barriers.empty(i), 8);  // warps
    }
    for (int i = 0; i < C::kRests; ++i) {
      barrier_init(barriers.ready(i), 128);
      barrier_init(barriers.free(i), 8);
    }
    fence_barrier_init();
  }
  __syncthreads();
  begin();

  const int warp = __shfl_sync(0xffffffffu, static_cast<int>(threadIdx.x / 32), 0);
  const int lane = static_cast<int>(threadIdx.x % 32);
  if (warp < 4) {
    give_registers<24>();
    if (warp == 0 && lane == 0) fill<C>(p, memory, barriers);
    __syncwarp();
  } else if (warp < 8) {
    give_registers<56>();
    split_weights<C>(p, shared, barriers);
  } else {
    take_registers<216>();
    float sums[C::kSums];
    SplitConsumer<C>{p, shared, memory, barriers, warp / 4 - 2, lane, warp % 4, sums}.run();
  }
#endif
}

}  // namespace tempera::cuda
