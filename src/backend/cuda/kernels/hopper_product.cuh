// The kernel of hopper_product.h. One block per multiprocessor computes tiles one after the other. Its first warpgroup
// moves data. Warp 0 fills a ring of stages (64 columns of x and w) with the copy engine. Warps 1 and 2 load residuals
// into the staging memory of consumer warpgroups 0 and 1, and store the results from there. The consumers multiply from
// the ring into registers; then they apply bias, activation and residual there.
#pragma once

#include "backend/cuda/kernels/fast_gelu.cuh"
#include "backend/cuda/kernels/hopper_cut.cuh"
#include "backend/cuda/kernels/launch.cuh"

namespace tempera::cuda {

template <class C>
__device__ inline void fill_ring(const HopperParams& p, const Block& b) {
  prefetch_map(&p.x);
  if (p.x_blocks < p.k_blocks) prefetch_map(&p.tail);
  prefetch_map(&p.w);
  Ring<C::kStages> ring;
  for (int tile = b.first; tile < p.tiles; tile += b.step) {
    const Position at = position<C>(p, tile, b.rank);
    // Two boxes of weights: with C::kGated the values and the gates, else the two halves of the columns.
    const int w_rows[2] = {at.column, at.column + (C::kGated ? p.n : C::kColumns / 2)};
    for (int i = 0; i < p.k_blocks; ++i, ring.next()) {
      const uint32_t x = b.memory + static_cast<uint32_t>(ring.stage) * C::kStageBytes, w = x + C::kXBytes;
      const uint32_t full = b.barriers.full(ring.stage);
      const Columns k = columns<kDepth>(p, i);
      wait(b.barriers.empty(ring.stage), ring.parity ^ 1);
      arrive_and_expect(full, C::kStageBytes);
      load_box(x, k.from, k.x, at.row, full);
      if constexpr (C::kCluster == 1) {
        load_box(w, &p.w, k.w, w_rows[0], full);
        load_box(w + C::kWBytes / 2, &p.w, k.w, w_rows[1], full);
      } else {
        const uint32_t half = b.rank == 0 ? 0 : C::kWBytes / 2;
        load_box_to_many(w + half, &p.w, k.w, b.rank == 0 ? w_rows[0] : w_rows[1], full, 3);
      }
    }
  }
}

// Calls use(column, row, address) for the boxes of a consumer's staging memory that are inside of the output.
template <class C, class Use>
__device__ inline void for_boxes(const HopperParams& p, const Position& at, uint32_t staging, Use use) {
#pragma unroll
  for (int i = 0; i < C::kBlocks; ++i)
#pragma unroll
    for (int j = 0; j < C::kBoxesAcross; ++j) {
      const int row = at.row + i * 64, column = at.column + j * C::kBoxColumns;
      if (row < p.m && column < p.n)
        use(column, row, staging + static_cast<uint32_t>((i * C::kBoxesAcross + j) * C::kBox));
    }
}

template <class C>
__device__ inline void move_staging(const HopperParams& p, const Block& b, int consumer) {
  const uint32_t staging = b.memory + C::kStaging + static_cast<uint32_t>(consumer) * C::kStagingBytes;
  const uint32_t ready = b.barriers.ready(consumer), staged = b.barriers.staged(consumer);
  const int first = C::kShared ? b.first : b.first + consumer * b.step, step = C::kShared ? b.step : 2 * b.step;
  prefetch_map(&p.out);
  if (p.residual_data != nullptr) prefetch_map(&p.residual);
  uint32_t parity = 0;
  for (int tile = first; tile < p.tiles; tile += step, parity ^= 1) {
    Position at = position<C>(p, tile, b.rank);
    if (C::kShared) at.row += consumer * C::kRows;
    if (p.residual_data != nullptr) {
      uint32_t bytes = 0;
      for_boxes<C>(p, at, staging, [&](int, int, uint32_t) { bytes += C::kBox; });
      arrive_and_expect(ready, bytes);
      for_boxes<C>(p, at, staging,
                   [&](int column, int row, uint32_t to) { load_box(to, &p.residual, column, row, ready); });
    } else {
      arrive(ready);
    }
    wait(staged, parity);
    for_boxes<C>(p, at, staging, [&](int column, int row, uint32_t from) { store_box(&p.out, column, row, from); });
    commit_stores();
    wait_stores_read();
  }
  wait_stores();
}

template <class T, class C>
struct Consumer {
  const HopperParams& p;
  const Block& b;
  int index, lane, warp;  // consumer; in the warp; in the warpgroup
  float (&sums)[C::kBlocks][C::kSums];

  // Called when the products that read the stage are complete.
  __device__ void release(int stage) const {
    if constexpr (C::kCluster == 1) {
      if (lane == 0) arrive(b.barriers.empty(stage));
    } else {
      if (lane < C::kCluster) arrive_at(b.barriers.empty(stage), static_cast<uint32_t>(lane));
    }
  }

  __device__ void multiply(Ring<C::kStages>& ring, uint32_t parity) const {
    if (!C::kShared) wait(b.barriers.turn(index), index == 0 ? parity ^ 1 : parity);
    int before = 0;
    for (int i = 0; i < p.k_blocks; ++i, ring.next()) {
      wait(b.barriers.full(ring.stage), ring.parity);
      const uint32_t stage = b.memory + static_cast<uint32_t>(ring.stage) * C::kStageBytes;
      const uint64_t x = matrix_descriptor(stage + (C::kShared ? static_cast<uint32_t>(index * C::kRows * 128) : 0));
      const uint64_t w = matrix_descriptor(stage + C::kXBytes);
      products_fence();
#pragma unroll
      for (int k = 0; k < kDepth / 16; ++k)
#pragma unroll
        for (int block = 0; block < C::kBlocks; ++block)  // next 32 bytes in K, 64 rows of 128 bytes in x, each / 16
          Wgmma<T, C::kColumns>::multiply_add(sums[block], x + static_cast<uint64_t>(2 * k + block * 512),
                                              w + static_cast<uint64_t>(2 * k), (i | k) != 0);
      products_commit();
      products_wait<1>();
      if (i > 0) release(before);
      before = ring.stage;
    }
    if (!C::kShared && lane == 0) arrive(b.barriers.turn(index ^ 1));
    products_wait<0>();
    release(before);
#pragma unroll
    for (int block = 0; block < C::kBlocks; ++block) pin(sums[block]);
  }

  // Two neighbouring elements of the bias per thread, for the tile's columns of w; zeros past the end. The result is
  // the unconverted bits, so that no instruction waits for the load before the products are done.
  __device__ uint2 fetch_bias(int column) const {
    const int mine = 2 * static_cast<int>(threadIdx.x % 128);
    if (p.bias == nullptr || mine >= C::kColumns) return {0, 0};
    const bool gate = C::kGated && mine >= C::kOutColumns;
    const int at = column + (gate ? mine - C::kOutColumns : mine);
    if (at >= p.n) return {0, 0};
    const int from = gate ? p.n + at : at;
    if (p.to_f32) return *reinterpret_cast<const uint2*>(static_cast<const float*>(p.bias) + from);
    return {*reinterpret_cast<const uint32_t*>(static_cast<const T*>(p.bias) + from), 0};
  }

  __device__ void add_bias(uint2 bits) const {
    extern __shared__ __align__(1024) unsigned char shared[];
    const float2 bias = p.to_f32 ? float2{__uint_as_float(bits.x), __uint_as_float(bits.y)} : Half<T>::unpack(bits.x);
    auto* pairs = reinterpret_cast<float2*>(shared + C::kBias + static_cast<uint32_t>(index) * C::kBiasBytes);
    const int mine = static_cast<int>(threadIdx.x % 128);
    join(1 + index, 128);  // the bias of the previous tile has been read
    if (mine < C::kColumns / 2) pairs[mine] = bias;
    join(1 + index, 128);
#pragma unroll
    for (int j = 0; j < C::kColumns / 8; ++j) {
      const float2 pair = pairs[4 * j + lane % 4];
#pragma unroll
      for (int block = 0; block < C::kBlocks; ++block)
#pragma unroll
        for (int i = 0; i < 4; ++i) sums[block][4 * j + i] += i % 2 == 0 ? pair.x : pair.y;
    }
  }

  template <class F>
  __device__ void each(F f) const {
#pragma unroll
    for (int block = 0; block < C::kBlocks; ++block)
#pragma unroll
      for (int i = 0; i < C::kSums; ++i) sums[block][i] = f(sums[block][i]);
  }
  __device__ void activate() const {
    if (p.activation == Activation::gelu) {
      each([](float x) { return fast_gelu(x); });
    } else if (p.activation == Activation::silu || p.activation == Activation::quick_gelu) {
      const float factor = (p.activation == Activation::silu ? 1.0f : 1.702f) * -1.4426950408889634f;
      each([factor](float x) { return __fdividef(x, 1 + exp2f(factor * x)); });
    }
  }

  // Adds the residual in the staging memory, rounds, and writes the result there.
  __device__ void stage_tile() const {
    const uint32_t row = static_cast<uint32_t>(warp * 16 + lane % 16), high = static_cast<uint32_t>(lane / 16);
    const uint32_t turn = C::kBoxColumns == 64 ? row & 7 : row >> 1 & 3;  // the swizzle: 128 or 64 bytes a row
    const uint32_t lane_part = (high ^ turn) * 16;
    const uint32_t mine = b.memory + C::kStaging + static_cast<uint32_t>(index) * C::kStagingBytes + row * C::kBoxRow;
    const bool residual = p.residual_data != nullptr;
#pragma unroll
    for (int block = 0; block < C::kBlocks; ++block)
#pragma unroll
      for (int j = 0; j < C::kOutColumns / 8; j += 2) {  // columns 8 j to 8 j + 15
        constexpr int kChunks = C::kBoxColumns / 8;
        const uint32_t box = static_cast<uint32_t>((block * C::kBoxesAcross + j / kChunks) * C::kBox);
        const uint32_t at = mine + box + (lane_part ^ static_cast<uint32_t>(j % kChunks * 16));
        const float* s = &sums[block][4 * j];
        float2 add[4] = {};
        if (residual) {
          uint32_t r[4];
          load_matrices(r, at);
#pragma unroll
          for (int i = 0; i < 4; ++i) add[i] = Half<T>::unpack(r[i]);
        }
        uint32_t r[4];
#pragma unroll
        for (int i = 0; i < 4; ++i) r[i] = Half<T>::pack(s[2 * i] + add[i].x, s[2 * i + 1] + add[i].y);
        store_matrices(at, r);
      }
  }

  // f32 output is written to device memory directly. Four lanes write a sector of 32 bytes.
  __device__ void write_f32(const Position& at) const {
    const int first_row = at.row + warp * 16 + lane / 4, first_column = at.column + 2 * (lane % 4);
#pragma unroll
    for (int block = 0; block < C::kBlocks; ++block)
#pragma unroll
      for (int half = 0; half < 2; ++half) {
        const int row = first_row + block * 64 + half * 8;
        if (row >= p.m) continue;
        float* to = static_cast<float*>(p.out_data) + row * p.out_stride;
        const float* from = static_cast<const float*>(p.residual_data) + row * p.out_stride;
#pragma unroll
        for (int j = 0; j < C::kOutColumns / 8; ++j) {
          const int column = first_column + 8 * j;
          if (column >= p.n) continue;
          float2 pair{sums[block][4 * j + 2 * half], sums[block][4 * j + 2 * half + 1]};
          if (p.residual_data != nullptr) {
            const float2 add = *reinterpret_cast<const float2*>(from + column);
            pair.x += add.x;
            pair.y += add.y;
          }
          *reinterpret_cast<float2*>(to + column) = pair;
        }
      }
  }

  __device__ void finish(const Position& at, uint2 bias, uint32_t parity) const {
    if (p.bias != nullptr) add_bias(bias);
    if constexpr (C::kGated) {
#pragma unroll
      for (int block = 0; block < C::kBlocks; ++block)
#pragma unroll
        for (int i = 0; i < C::kSums / 2; ++i) sums[block][i] *= fast_gelu(sums[block][i + C::kSums / 2]);
    } else {
      activate();
    }
    if (p.to_f32) {
      write_f32(at);
    } else {
      wait(b.barriers.ready(index), parity);
      stage_tile();
      fence_for_copies();
      arrive(b.barriers.staged(index));
    }
  }

  __device__ void run() const {
    Ring<C::kStages> ring;
    uint32_t parity = 0;
    const int first = C::kShared ? b.first : b.first + index * b.step, step = C::kShared ? b.step : 2 * b.step;
    if (!C::kShared) ring.skip(index * p.k_blocks);
    for (int tile = first; tile < p.tiles; tile += step, parity ^= 1) {
      Position at = position<C>(p, tile, b.rank);
      if (C::kShared) at.row += index * C::kRows;
      const uint2 bias = fetch_bias(at.column);
      multiply(ring, parity);
      finish(at, bias, parity);
      if (!C::kShared) ring.skip(p.k_blocks);  // the other consumer's tile
    }
  }
};

// Empty for other architectures than Hopper, where hopper_product() is not called.
template <class T, class C>
__global__ void __launch_bounds__(kThreads, 1) product_kernel(const __grid_constant__ HopperParams p) {
#ifdef __CUDA_ARCH_FEAT_SM90_ALL
  extern __shared__ __align__(1024) unsigned char shared[];
  Block b;
  b.memory = shared_address(shared);
  b.barriers.base = b.memory + C::kBarriers;
  b.rank = C::kCluster == 1 ? 0 : static_cast<int>(rank_in_cluster());
  b.first = static_cast<int>(blockIdx.x) / C::kCluster;
  b.step = static_cast<int>(gridDim.x) / C::kCluster;
  if (threadIdx.x == 0) {
    if (b.memory % 1024 != 0) __trap();  // the swizzle pattern starts at multiples of 1024
    for (int i = 0; i < C::kStages; ++i) {
      barrier_init(b.barriers.full(i), 1);
      barrier_init(b.barriers.empty(i), C::kReleases);
    }
    for (int i = 0; i < 2; ++i) {
      barrier_init(b.barriers.ready(i), 1);
      barrier_init(b.barriers.staged(i), 128);
      barrier_init(b.barriers.turn(i), 4);
    }
    fence_barrier_init();
  }
  __syncthreads();
  if constexpr (C::kCluster > 1) join_cluster();
  begin();

  const int warp = __shfl_sync(0xffffffffu, static_cast<int>(threadIdx.x / 32), 0);
  const int lane = static_cast<int>(threadIdx.x % 32);
  if (warp < 4) {
    give_registers<40>();
    if (warp == 0) {
      if (lane == 0) fill_ring<C>(p, b);
    } else if (warp < 3 && !p.to_f32) {
      if (lane == 0) move_staging<C>(p, b, warp - 1);
    }
    __syncwarp();
  } else {
    take_registers<232>();
    float sums[C::kBlocks][C::kSums];
    Consumer<T, C>{p, b, warp / 4 - 1, lane, warp % 4, sums}.run();
  }
  // The other block of the cluster uses the memory and barriers of this one until both are done.
  if constexpr (C::kCluster > 1) join_cluster();
#endif
}

}  // namespace tempera::cuda
