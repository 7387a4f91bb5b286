// How a product is divided into tiles, their layout in the shared memory of a block, and the order of the tiles.
//
// Barriers; one use is one phase:
//    full[s]            stage s is filled
//    empty[s]           stage s may be filled again
//    ready[c]           consumer c may use its staging memory (which holds the residual)
//    staged[c]          consumer c has written its staging memory
//    turn[c]            the other consumer has seen all its stages filled, if each has its own tiles
// Without turn, a consumer could wait for a phase two ahead of a barrier's current one. That phase has the same parity
// as the phase that has just ended.
#pragma once

#include "backend/cuda/kernels/hopper_product.h"
#include "backend/cuda/kernels/wgmma.cuh"

namespace tempera::cuda {

inline constexpr int kDepth = 64;           // halves of k in a stage: 128 bytes, the width of the swizzle
inline constexpr int kThreads = 384;        // the warpgroup that moves data and two consumers
inline constexpr int kSharedMost = 232448;  // bytes, the limit of a block

// Rows x Columns: of the products of a warpgroup. Shared: the two warpgroups share a tile of 2 Rows, else each has a
// tile.
template <int RowsOf, int ColumnsOf, bool SharedOf, int ClusterOf, bool GatedOf>
struct Cut {
  static constexpr int kRows = RowsOf, kColumns = ColumnsOf, kCluster = ClusterOf;
  static constexpr bool kShared = SharedOf, kGated = GatedOf;
  static constexpr int kBlocks = kRows / 64;  // of 64 rows, those of one instruction
  static constexpr int kSums = kColumns / 2;  // registers for one such block
  static constexpr int kTileRows = kShared ? 2 * kRows : kRows;
  static constexpr int kOutColumns = kGated ? kColumns / 2 : kColumns;
  static constexpr int kBoxColumns = kOutColumns % 64 == 0 ? 64 : 32;   // of staging memory
  static constexpr int kBoxRow = 2 * kBoxColumns, kBox = 64 * kBoxRow;  // bytes
  static constexpr int kBoxesAcross = kOutColumns / kBoxColumns;
  static constexpr uint32_t kXBytes = kTileRows * kDepth * 2, kWBytes = kColumns * kDepth * 2;
  static constexpr uint32_t kStageBytes = kXBytes + kWBytes;
  static constexpr uint32_t kStagingBytes = kRows * kOutColumns * 2;  // of one consumer
  static constexpr uint32_t kBiasBytes = kColumns * 4;                // of one consumer
  static constexpr uint32_t kBarrierBytes = 256;
  static constexpr uint32_t kFixed = 2 * kStagingBytes + 2 * kBiasBytes + kBarrierBytes;
  static constexpr int kFit = static_cast<int>((kSharedMost - kFixed) / kStageBytes);
  static constexpr int kStages = kFit < 8 ? kFit : 8;
  static constexpr uint32_t kStaging = kStages * kStageBytes, kBias = kStaging + 2 * kStagingBytes;
  static constexpr uint32_t kBarriers = kBias + 2 * kBiasBytes;
  static constexpr uint32_t kBytes = kBarriers + kBarrierBytes;
  static constexpr uint32_t kReleases = 4 * (kShared ? 2 : 1) * kCluster;  // warps that release a stage
  static_assert(kStages >= 3 && kOutColumns % 32 == 0 && kXBytes % 1024 == 0 && kWBytes % 2048 == 0);
};

struct Position {
  int row, column;  // first row of this block's tile; first output column
};
// Tiles are ordered down a group of rows, then along the columns, so that concurrent tiles share rows and columns in
// cache.
template <class C>
__device__ inline Position position(const HopperParams& p, int tile, int rank) {
  const int in_group = p.group * p.tile_columns, group = tile / in_group, rest = tile - group * in_group;
  const int first = group * p.group, rows = min(p.group, p.tile_rows - first);
  const int across = rest / rows, down = first + rest - across * rows;
  return {(down * C::kCluster + rank) * C::kTileRows, across * C::kOutColumns};
}

// The content of the i-th stage of a tile: columns of x or of its tail, and the columns of w that they are multiplied
// with. If x ends within a stage, the copy engine fills the rest with zeros.
struct Columns {
  const CUtensorMap* from;
  int x, w;
};
template <int Depth>
__device__ inline Columns columns(const HopperParams& p, int i) {
  if (i < p.x_blocks) return {&p.x, i * Depth, i * Depth};
  const int x = (i - p.x_blocks) * Depth;
  return {&p.tail, x, p.x_columns + x};
}

// A stage of the ring, and the parity of the phase in which it is filled.
template <int Stages>
struct Ring {
  int stage = 0;
  uint32_t parity = 0;
  __device__ void next() {
    if (++stage == Stages) {
      stage = 0;
      parity ^= 1;
    }
  }
  __device__ void skip(int n) {
    const int to = stage + n, turns = to / Stages;
    stage = to - turns * Stages;
    parity ^= static_cast<uint32_t>(turns & 1);
  }
};

struct Barriers {
  uint32_t base;
  __device__ uint32_t full(int stage) const { return base + 8u * static_cast<uint32_t>(stage); }
  __device__ uint32_t empty(int stage) const { return base + 64 + 8u * static_cast<uint32_t>(stage); }
  __device__ uint32_t ready(int consumer) const { return base + 128 + 8u * static_cast<uint32_t>(consumer); }
  __device__ uint32_t staged(int consumer) const { return base + 144 + 8u * static_cast<uint32_t>(consumer); }
  __device__ uint32_t turn(int consumer) const { return base + 160 + 8u * static_cast<uint32_t>(consumer); }
};

struct Block {
  uint32_t memory;  // address in shared memory
  Barriers barriers;
  int rank, first, step;  // rank in the cluster; first tile and distance to the next
};

}  // namespace tempera::cuda
