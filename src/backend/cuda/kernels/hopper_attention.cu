// The kernel of hopper_attention.h. In the first warpgroup of a block, one thread loads tiles of keys and values into a
// ring of stages with the copy engine. Each other warpgroup (consumer) computes 64 queries and keeps their running
// maximum, sum and output in registers.
//
// The exponentials limit attention with heads this small. So while a consumer computes the exponentials of a tile,
// tensor cores multiply the weights of the previous tile with its values. The consumer waits only for the scores.
//
// A block computes many groups of queries (jobs), one after the other. The keys of the next job are loaded while the
// last keys of this job are used, and its queries while the output is written.
//
// Time per call on an H100, f16, 8 pictures:
//
//    heads  queries  keys   time    with one job per block
//    20     1024     1024   109 us  117 us
//    20     1024     77      19 us   27 us
//    10     4096     4096   711 us  728 us
//
// wgmma.cuh describes the fragments. A thread has two rows. Two neighbouring groups of eight keys of its scores, packed
// to 16 bits, are its part of operand A of the next product.
#include "backend/cuda/kernels/hopper_attention.h"
#include "backend/cuda/kernels/launch.cuh"
#include "backend/cuda/kernels/wgmma.cuh"

namespace tempera::cuda {
namespace {

constexpr int kDim = 64, kRowBytes = kDim * 2, kGroup = 128;
constexpr uint32_t kQueryBytes = 64 * kRowBytes;  // of a consumer; its output has the same size

template <int ConsumersOf, int KeysOf, int StagesOf, int BlocksOf, int RegistersOf>
struct AttentionCut {
  static constexpr int kConsumers = ConsumersOf, kKeys = KeysOf, kStages = StagesOf;
  static constexpr int kBlocks = BlocksOf;        // per multiprocessor
  static constexpr int kRegisters = RegistersOf;  // per thread of a consumer
  static constexpr int kThreads = (kConsumers + 1) * kGroup;
  static constexpr uint32_t kTileBytes = kKeys * kRowBytes;
  static constexpr uint32_t kOutput = kConsumers * kQueryBytes;
  static constexpr uint32_t kTiles = 2 * kOutput;  // the start of the ring; stage s has K, then V
  static constexpr uint32_t kBarriers = kTiles + 2 * kStages * kTileBytes;
  static constexpr uint32_t kBytes = kBarriers + 8 * (2 + 4 * kStages);
  static_assert(kTileBytes % 1024 == 0 && kKeys % 16 == 0);
};

template <class C>
struct Places {
  uint32_t base;
  __device__ uint32_t queries(int consumer) const { return base + static_cast<uint32_t>(consumer) * kQueryBytes; }
  __device__ uint32_t output(int consumer) const { return queries(consumer) + C::kOutput; }
  __device__ uint32_t keys(int stage) const {
    return base + C::kTiles + static_cast<uint32_t>(2 * stage) * C::kTileBytes;
  }
  __device__ uint32_t values(int stage) const { return keys(stage) + C::kTileBytes; }
  __device__ uint32_t queries_full() const { return base + C::kBarriers; }
  __device__ uint32_t queries_empty() const { return base + C::kBarriers + 8; }
  // 0: keys are loaded, 1: values are loaded, 2: keys were used, 3: values were used
  __device__ uint32_t barrier(int which, int stage) const {
    return base + C::kBarriers + 16 + 8 * static_cast<uint32_t>(which * C::kStages + stage);
  }
};
enum Which : int { kKeysFull, kValuesFull, kKeysEmpty, kValuesEmpty };

// The work of a block at one time. Neighbouring jobs share keys, which are then in the L2 cache.
template <class C>
struct Job {
  int query, head, picture;
  __device__ Job(const HopperAttentionParams& p, int index) {
    const int groups = (p.queries + C::kConsumers * 64 - 1) / (C::kConsumers * 64);
    query = index % groups * C::kConsumers * 64;
    head = index / groups % p.heads;
    picture = index / groups / p.heads;
  }
};

template <class C>
__device__ void bring_tiles(const HopperAttentionParams& p, const Places<C>& at) {
  int stage = 0;
  uint32_t parity = 1, queries_parity = 1;  // for a new barrier, the phase of parity 1 is complete
  for (int index = static_cast<int>(blockIdx.x); index < p.jobs; index += static_cast<int>(gridDim.x)) {
    const Job<C> job(p, index);
    for (int key = 0; key < p.keys; key += C::kKeys) {
      wait(at.barrier(kKeysEmpty, stage), parity);
      arrive_and_expect(at.barrier(kKeysFull, stage), C::kTileBytes);
      load_box(at.keys(stage), &p.k, {0, job.head, key, job.picture}, at.barrier(kKeysFull, stage));
      if (key == 0) {
        uint32_t bytes = 0;
        for (int c = 0; c < C::kConsumers; ++c) bytes += job.query + c * 64 < p.queries ? kQueryBytes : 0;
        wait(at.queries_empty(), queries_parity);
        queries_parity ^= 1;
        arrive_and_expect(at.queries_full(), bytes);
        for (int c = 0; c < C::kConsumers; ++c)
          if (job.query + c * 64 < p.queries)
            load_box(at.queries(c), &p.q, {0, job.head, job.query + c * 64, job.picture}, at.queries_full());
      }
      wait(at.barrier(kValuesEmpty, stage), parity);
      arrive_and_expect(at.barrier(kValuesFull, stage), C::kTileBytes);
      load_box(at.values(stage), &p.v, {0, job.head, key, job.picture}, at.barrier(kValuesFull, stage));
      if (++stage == C::kStages) stage = 0, parity ^= 1;
    }
  }
}

__device__ inline float power_of_two(float x) {
  float y;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
}
// Reductions over the four threads that share a row.
__device__ inline float row_max(float x) {
  x = fmaxf(x, __shfl_xor_sync(0xffffffffu, x, 1));
  return fmaxf(x, __shfl_xor_sync(0xffffffffu, x, 2));
}
__device__ inline float row_sum(float x) {
  x += __shfl_xor_sync(0xffffffffu, x, 1);
  return x + __shfl_xor_sync(0xffffffffu, x, 2);
}

template <class T, class C>
struct Attend {
  const HopperAttentionParams& p;
  const Places<C>& at;
  int consumer, lane, warp;  // warp: in the warpgroup
  float (&scores)[C::kKeys / 2];
  float (&out)[32];
  uint32_t (&weights)[C::kKeys / 4];
  float max[2] = {}, sum[2] = {};  // of this thread's rows; sums over its own columns
  int stage = 0;                   // of the tile whose scores are computed next
  uint32_t parity = 0, queries_parity = 0;

  __device__ void release(uint32_t barrier) const {
    if (lane == 0) arrive(barrier);
  }
  __device__ void next_stage() {
    if (++stage == C::kStages) stage = 0, parity ^= 1;
  }

  __device__ void start_scores() {
    wait(at.barrier(kKeysFull, stage), parity);
    const uint64_t q = matrix_descriptor(at.queries(consumer)), k = matrix_descriptor(at.keys(stage));
    products_fence();
#pragma unroll
    for (int i = 0; i < kDim / 16; ++i)  // next 32 bytes, / 16
      Wgmma<T, C::kKeys>::multiply_add(scores, q + static_cast<uint64_t>(2 * i), k + static_cast<uint64_t>(2 * i), i);
    products_commit();
  }

  __device__ void start_output(int s, uint32_t its_parity) {
    wait(at.barrier(kValuesFull, s), its_parity);
    const uint64_t v = matrix_descriptor(at.values(s));
    products_fence();
#pragma unroll
    for (int i = 0; i < C::kKeys / 16; ++i)  // next 16 rows, / 16
      WgmmaRegisters<T>::multiply_add(out, weights + 4 * i, v + static_cast<uint64_t>(16 * kRowBytes / 16 * i));
    products_commit();
  }

  // Excludes keys past the end.
  __device__ void mask(int first_key) {
#pragma unroll
    for (int i = 0; i < C::kKeys / 2; ++i)
      if (first_key + i / 4 * 8 + lane % 4 * 2 + i % 2 >= p.keys) scores[i] = -INFINITY;
  }

  // Replaces scores by weights. Returns the factor for the outputs so far, for each row.
  __device__ float2 exponentials() {
    float2 factor;
#pragma unroll
    for (int r = 0; r < 2; ++r) {
      float largest = max[r];
#pragma unroll
      for (int i = 2 * r; i < C::kKeys / 2; i += 4) largest = fmaxf(largest, fmaxf(scores[i], scores[i + 1]));
      largest = row_max(largest);
      const float shift = largest * p.scale, f = power_of_two(fmaf(max[r], p.scale, -shift));
      float total = 0;
#pragma unroll
      for (int i = 2 * r; i < C::kKeys / 2; i += 4)
#pragma unroll
        for (int k = 0; k < 2; ++k) {
          scores[i + k] = power_of_two(fmaf(scores[i + k], p.scale, -shift));
          total += scores[i + k];
        }
      sum[r] = fmaf(sum[r], f, total);
      max[r] = largest;
      (r == 0 ? factor.x : factor.y) = f;
    }
    return factor;
  }

  __device__ void scale_output(float2 factor) {
    if (!__any_sync(0xffffffffu, factor.x != 1 || factor.y != 1)) return;
#pragma unroll
    for (int i = 0; i < 32; ++i) out[i] *= i % 4 < 2 ? factor.x : factor.y;
  }
  __device__ void pack_weights() {
#pragma unroll
    for (int i = 0; i < C::kKeys / 4; ++i) weights[i] = Half<T>::pack(scores[2 * i], scores[2 * i + 1]);
  }

  __device__ void run() {
    wait(at.queries_full(), queries_parity);
    queries_parity ^= 1;
    const int tiles = (p.keys + C::kKeys - 1) / C::kKeys;
    const bool ragged = p.keys % C::kKeys != 0;
#pragma unroll
    for (int r = 0; r < 2; ++r) max[r] = -INFINITY, sum[r] = 0;
#pragma unroll
    for (int i = 0; i < 32; ++i) out[i] = 0;
    start_scores();
    products_wait<0>();
    pin(scores);
    release(at.barrier(kKeysEmpty, stage));
    if (tiles == 1) release(at.queries_empty());
    if (tiles == 1 && ragged) mask(0);
    exponentials();
    pack_weights();
    for (int tile = 1; tile < tiles; ++tile) {
      const int last = stage;
      const uint32_t last_parity = parity;
      next_stage();
      start_scores();
      start_output(last, last_parity);
      products_wait<1>();
      pin(scores);
      release(at.barrier(kKeysEmpty, stage));
      if (tile == tiles - 1) release(at.queries_empty());
      if (tile == tiles - 1 && ragged) mask(tile * C::kKeys);
      const float2 factor = exponentials();
      products_wait<0>();
      pin(out);
      release(at.barrier(kValuesEmpty, last));
      scale_output(factor);
      pack_weights();
    }
    start_output(stage, parity);
    products_wait<0>();
    pin(out);
    release(at.barrier(kValuesEmpty, stage));
    next_stage();
  }

  __device__ void write(const Job<C>& job) {
    const int row = job.query + consumer * 64;
    const float inverse[2] = {1 / row_sum(sum[0]), 1 / row_sum(sum[1])};
    const bool leads = warp == 0 && lane == 0;
    if (leads) wait_stores_read();
    join(1 + consumer, kGroup);  // the previous output has been read
    const uint32_t mine = static_cast<uint32_t>(warp * 16 + lane % 16);
    const uint32_t to = at.output(consumer) + mine * kRowBytes;
#pragma unroll
    for (int j = 0; j < kDim / 8; j += 2) {
      uint32_t r[4];
#pragma unroll
      for (int i = 0; i < 4; ++i)
        r[i] = Half<T>::pack(out[4 * j + 2 * i] * inverse[i % 2], out[4 * j + 2 * i + 1] * inverse[i % 2]);
      store_matrices(to + ((static_cast<uint32_t>(j + lane / 16) ^ (mine & 7)) * 16), r);
    }
    fence_for_copies();
    join(1 + consumer, kGroup);
    if (leads && row < p.queries) {
      store_box(&p.out, {0, job.head, row, job.picture}, at.output(consumer));
      commit_stores();
    }
  }
};

// Empty for other architectures than Hopper, where it is not called.
template <class T, class C>
__global__ void __launch_bounds__(C::kThreads, C::kBlocks)
    attention_kernel(const __grid_constant__ HopperAttentionParams p) {
#ifdef __CUDA_ARCH_FEAT_SM90_ALL
  extern __shared__ __align__(1024) unsigned char shared[];
  const Places<C> at{shared_address(shared)};
  if (threadIdx.x == 0) {
    if (at.base % 1024 != 0) __trap();  // the swizzle pattern starts at multiples of 1024
    barrier_init(at.queries_full(), 1);
    barrier_init(at.queries_empty(), 4 * C::kConsumers);
    for (int s = 0; s < C::kStages; ++s) {
      barrier_init(at.barrier(kKeysFull, s), 1);
      barrier_init(at.barrier(kValuesFull, s), 1);
      barrier_init(at.barrier(kKeysEmpty, s), 4 * C::kConsumers);
      barrier_init(at.barrier(kValuesEmpty, s), 4 * C::kConsumers);
    }
    fence_barrier_init();
  }
  __syncthreads();
  begin();
  const int warp = __shfl_sync(0xffffffffu, static_cast<int>(threadIdx.x / 32), 0);
  const int lane = static_cast<int>(threadIdx.x % 32);
  if (warp < 4) {
    give_registers<24>();
    if (warp == 0 && lane == 0) {
      prefetch_map(&p.q);
      prefetch_map(&p.k);
      prefetch_map(&p.v);
      prefetch_map(&p.out);
      bring_tiles<C>(p, at);
    }
  } else {
    take_registers<C::kRegisters>();
    float scores[C::kKeys / 2], out[32];
    uint32_t weights[C::kKeys / 4];
    Attend<T, C> attend{p, at, warp / 4 - 1, lane, warp % 4, scores, out, weights};
    for (int index = static_cast<int>(blockIdx.x); index < p.jobs; index += static_cast<int>(gridDim.x)) {
      attend.run();
      attend.write(Job<C>(p, index));
    }
    wait_stores();
  }
#endif
}

template <class C>
HopperAttentionKernel kernel_of(DType type) {
  return {type == DType::bf16 ? reinterpret_cast<const void*>(&attention_kernel<__nv_bfloat16, C>)
                              : reinterpret_cast<const void*>(&attention_kernel<__half, C>),
          C::kBytes, C::kBlocks};
}

}  // namespace

HopperAttentionKernel hopper_attention_kernel(int instance, DType type) {
  switch (instance) {
    case 0:
      return kernel_of<AttentionCut<4, 64, 4, 1, 112>>(type);
    case 1:
      return kernel_of<AttentionCut<3, 128, 3, 1, 160>>(type);
    case 2:
      return kernel_of<AttentionCut<2, 128, 3, 1, 240>>(type);
    case 3:
      return kernel_of<AttentionCut<1, 80, 2, 3, 136>>(type);
    default:
      return {};
  }
}

}  // namespace tempera::cuda
