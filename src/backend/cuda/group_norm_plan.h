// How group_norm cuts its work, a block for each chunk of a picture's pixels: known to the table, which promises the
// scratch memory, and to the kernel. Depends on the problem alone, so that sums are added alike on every card.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

namespace tempera::cuda {

inline constexpr int64_t kGroupNormThreads = 512;  // of a block

// Shared memory of a block: {sum, squares} per channel and row of threads. With rows of at most 512 threads of eight
// channels this many channels need no more than 32 KiB; every card has 48.
inline constexpr int64_t kGroupNormChannels = 4096;

struct GroupNormPlan {
  int64_t together = 1;           // pictures summed up before they are finished
  int64_t chunks = 1, chunk = 0;  // of a picture; pixels
  size_t scratch = 0;             // bytes: {origin, 0} per picture and group, {sum, squares} per chunk and group
};

// element: bytes of one number of x.
inline GroupNormPlan group_norm_plan(int64_t pictures, int64_t pixels, int64_t channels, int64_t groups,
                                     size_t element) {
  // Half of an H100's cache: what is written goes through it too.
  constexpr int64_t kCached = 24 << 20;
  // Blocks that run at the same time, two on each multiprocessor of a large card; more for large pictures, so that none
  // is waited for. Each block that finishes reads the sums of its picture's chunks (with 32 groups 256 bytes a chunk):
  // there must not be so many chunks that these are more than its pixels.
  constexpr int64_t kBlocks = 256, kFewest = 16384, kMost = 262144, kMaxChunks = 512;
  const int64_t all = pixels * channels;
  GroupNormPlan plan;
  plan.together = std::clamp<int64_t>(kCached / (all * static_cast<int64_t>(element)), 1, pictures);
  const int64_t elements = std::clamp(all * plan.together / kBlocks, kFewest, kMost);
  plan.chunks = std::clamp<int64_t>((all + elements - 1) / elements, 1, kMaxChunks);
  plan.chunk = (pixels + plan.chunks - 1) / plan.chunks;
  plan.chunks = (pixels + plan.chunk - 1) / plan.chunk;
  plan.scratch = static_cast<size_t>(pictures * groups * (1 + plan.chunks)) * 2 * sizeof(float);
  return plan;
}

}  // namespace tempera::cuda
