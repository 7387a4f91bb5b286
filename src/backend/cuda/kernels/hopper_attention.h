// Attention without a score matrix on Hopper (Shah et al. 2024, FlashAttention-3), heads of 64 channels, f16 and bf16
// with sums in f32. The fastest variant depends on the shape: the caller times those that can run.
#pragma once

#include <cuda.h>
#include <cuda_runtime_api.h>

#include <span>
#include <string>

#include "backend/cuda/kernels/kernels.h"

namespace tempera::cuda {

// `consumers` warpgroups of 64 queries each share tiles of `keys` keys.
struct HopperAttentionVariant {
  int consumers, keys;
  int instance;  // in the table of kernels
};
std::span<const HopperAttentionVariant> hopper_attention_variants();
std::string name_of(const HopperAttentionVariant& variant);  // "hopper_attention 192 queries, 128 keys"

// The parameters of a kernel. The maps have dimensions (channel, head, token, picture).
struct HopperAttentionParams {
  CUtensorMap q, k, v, out;
  int queries, keys, heads;
  int jobs;     // number of groups of queries of all heads and pictures
  float scale;  // multiplied by log2(e)
};

// Attention bound to addresses: launch() enqueues one kernel and may be captured into a graph.
class HopperAttention {
 public:
  // hopper_can_attend(args) must be true. Throws Error if a call of the driver fails.
  HopperAttention(const HopperAttentionVariant& variant, const FlashArgs& args);
  void launch(cudaStream_t stream) const;

 private:
  HopperAttentionParams params_;
  const void* kernel_;
  dim3 grid_;
  unsigned threads_, shared_bytes_;
};

// Whether this build has the kernels and they support `args`. The card must have compute capability 9.0.
bool hopper_can_attend(const FlashArgs& args);

// One compiled kernel, its shared memory, and the number of its blocks per multiprocessor.
struct HopperAttentionKernel {
  const void* function = nullptr;
  unsigned shared_bytes = 0;
  int blocks = 1;
};
HopperAttentionKernel hopper_attention_kernel(int instance, DType type);

}  // namespace tempera::cuda
