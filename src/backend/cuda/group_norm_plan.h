// How group_norm cuts pictures into chunks of pixels, one block each: known to the table, which promises the scratch
// memory, and to the kernel. Depends on the problem alone, so that sums are added alike on every card.
#pragma once

#include <cstddef>
#include <cstdint>

namespace tempera::cuda {

// Shared memory of a block: {sum, squares} per channel and row of threads. With rows of at most 256 threads of eight
// channels this many channels need no more than the 48 KiB every card has.
inline constexpr int64_t kGroupNormChannels = 4096;

struct GroupNormPlan {
  int64_t chunks = 1, chunk = 0;  // pixels
  size_t scratch = 0;             // bytes: {mean, 1 / deviation} per group, {sum, squares} per chunk and group
};

inline GroupNormPlan group_norm_plan(int64_t pictures, int64_t pixels, int64_t channels, int64_t groups) {
  constexpr int64_t kElements = 16384, kMaxChunks = 1024;  // per chunk: enough blocks to fill a card at one picture
  GroupNormPlan plan;
  plan.chunks = (pixels * channels + kElements - 1) / kElements;
  plan.chunks = plan.chunks < 1 ? 1 : plan.chunks > kMaxChunks ? kMaxChunks : plan.chunks;
  plan.chunk = (pixels + plan.chunks - 1) / plan.chunks;
  plan.chunks = (pixels + plan.chunk - 1) / plan.chunk;
  plan.scratch = static_cast<size_t>(pictures * groups * (1 + plan.chunks)) * 2 * sizeof(float);
  return plan;
}

}  // namespace tempera::cuda
