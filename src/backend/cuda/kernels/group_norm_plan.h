// How group_norm divides pictures into chunks of pixels, one block each. The kernel table uses it for the size of the
// scratch memory, the kernel for its grid. It depends only on the problem, so that sums are added in the same order on
// every card.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

namespace tempera::cuda {

// Shared memory of a block: {sum, squares} per channel and row of threads. With rows of at most 256 threads of eight
// channels, this number of channels needs no more than the 48 KiB of every card.
inline constexpr int64_t kGroupNormChannels = 4096;

struct GroupNormPlan {
  int64_t chunks = 1, chunk = 0;  // pixels
  size_t scratch = 0;             // bytes: {mean, 1 / deviation} per group, {sum, squares} per chunk and group
};

inline GroupNormPlan group_norm_plan(int64_t pictures, int64_t pixels, int64_t channels, int64_t groups) {
  // About 128 chunks per picture fill a card. In larger chunks the fixed cost of a block matters less, up to a limit.
  constexpr int64_t kUsual = 128, kFewest = 8192, kMost = 32768, kMaxChunks = 1024;
  const int64_t all = pixels * channels, elements = std::clamp(all / kUsual, kFewest, kMost);
  GroupNormPlan plan;
  plan.chunks = (all + elements - 1) / elements;
  plan.chunks = plan.chunks < 1 ? 1 : plan.chunks > kMaxChunks ? kMaxChunks : plan.chunks;
  plan.chunk = (pixels + plan.chunks - 1) / plan.chunks;
  plan.chunks = (pixels + plan.chunk - 1) / plan.chunk;
  plan.scratch = static_cast<size_t>(pictures * groups * (1 + plan.chunks)) * 2 * sizeof(float);
  return plan;
}

}  // namespace tempera::cuda
