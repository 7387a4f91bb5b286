// Attention on Hopper, host side: tensor maps, the grid, the launch.
#include "backend/cuda/kernels/hopper_attention.h"

#include <algorithm>
#include <array>
#include <numbers>

#include "backend/cuda/device.h"
#include "backend/cuda/kernels/early_start.h"
#include "backend/cuda/kernels/hopper_product.h"
#include "backend/cuda/tensor_map.h"
#include "base/error.h"

namespace tempera::cuda {
namespace {

constexpr int kDim = 64, kQueries = 64;  // of a head; of a warpgroup

// The last is for the few tokens of a prompt. There is little to compute, so a multiprocessor runs several small
// blocks.
constexpr std::array kVariants = {
    HopperAttentionVariant{4, 64, 0},
    HopperAttentionVariant{3, 128, 1},
    HopperAttentionVariant{2, 128, 2},
    HopperAttentionVariant{1, 80, 3},
};

HopperAttentionKernel kernel_for([[maybe_unused]] const HopperAttentionVariant& variant, [[maybe_unused]] DType type) {
#if TEMPERA_CUDA_HOPPER
  return hopper_attention_kernel(variant.instance, type);
#else
  return {};
#endif
}

// Boxes of `rows` tokens of one head.
CUtensorMap heads_map(const FlashArgs& a, const void* data, int64_t tokens, int64_t stride, int rows) {
  return make_tensor_map(a.type, data, std::array<int64_t, 4>{kDim, a.heads, tokens, a.pictures},
                         std::array<int64_t, 3>{kDim, stride, tokens * stride}, std::array{kDim, 1, rows, 1});
}

}  // namespace

std::span<const HopperAttentionVariant> hopper_attention_variants() {
  return kVariants;
}

std::string name_of(const HopperAttentionVariant& variant) {
  return fmt::format("hopper_attention {} queries, {} keys", variant.consumers * kQueries, variant.keys);
}

bool hopper_can_attend(const FlashArgs& a) {
  return has_hopper_code() && a.dim == kDim && !a.causal && a.type != DType::f32 && a.q_stride % 8 == 0 &&
         a.kv_stride % 8 == 0 && a.out_stride % 8 == 0 && a.queries > 0 && a.keys > 0;
}

HopperAttention::HopperAttention(const HopperAttentionVariant& variant, const FlashArgs& a) : params_{} {
  const HopperAttentionKernel kernel = kernel_for(variant, a.type);
  kernel_ = kernel.function;
  shared_bytes_ = kernel.shared_bytes;
  threads_ = static_cast<unsigned>(variant.consumers + 1) * 128;
  const int queries = variant.consumers * kQueries;
  params_.jobs = (a.queries + queries - 1) / queries * a.heads * a.pictures;
  grid_ = dim3(static_cast<unsigned>(std::min(params_.jobs, multiprocessors() * kernel.blocks)));
  params_.q = heads_map(a, a.q, a.queries, a.q_stride, kQueries);
  params_.k = heads_map(a, a.k, a.keys, a.kv_stride, variant.keys);
  params_.v = heads_map(a, a.v, a.keys, a.kv_stride, variant.keys);
  params_.out = heads_map(a, a.out, a.queries, a.out_stride, kQueries);
  params_.queries = a.queries;
  params_.keys = a.keys;
  params_.heads = a.heads;
  params_.scale = a.scale * std::numbers::log2e_v<float>;
  check(cudaFuncSetAttribute(kernel_, cudaFuncAttributeMaxDynamicSharedMemorySize, static_cast<int>(shared_bytes_)),
        "cudaFuncSetAttribute");
}

void HopperAttention::launch(cudaStream_t stream) const {
  cudaLaunchAttribute attribute = early_start();
  cudaLaunchConfig_t config{};
  config.gridDim = grid_;
  config.blockDim = dim3(threads_);
  config.dynamicSmemBytes = shared_bytes_;
  config.stream = stream;
  config.attrs = &attribute;
  config.numAttrs = 1;
  void* arguments[] = {const_cast<HopperAttentionParams*>(&params_)};
  check(cudaLaunchKernelExC(&config, kernel_, arguments), "cudaLaunchKernelExC");
}

}  // namespace tempera::cuda
