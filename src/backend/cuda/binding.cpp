#include "backend/cuda/binding.h"

#include <utility>

#include "backend/cuda/table.h"

namespace tempera::cuda {
namespace {

constexpr std::pair<std::string_view, BindRow> kBindings[] = {
    {"conv2d/gemm", bind_conv2d_pointwise},
    {"conv2d/cudnn", bind_conv2d_cudnn},
    {"conv2d/few_outputs", bind_conv2d_few_outputs},
    {"conv2d/few_inputs", bind_conv2d_few_inputs},
    {"conv2d/direct", bind_conv2d_direct},
    {"linear/gemm", bind_linear},
    {kCudaHopperRow, bind_geglu_linear_hopper},
    {"geglu_linear/gemm", bind_geglu_linear},
    {"attention/flash", bind_attention_flash},
    {"attention/naive", bind_attention_naive},
    {"group_norm/cuda", bind_group_norm},
    {"layer_norm/cuda", bind_layer_norm},
    {"gelu_gate/cuda", bind_gelu_gate},
    {"activate/cuda", bind_activate},
    {"add/cuda", bind_add},
    {"scale/cuda", bind_scale},
    {"concat/cuda", bind_concat},
    {"upsample2x/cuda", bind_upsample2x},
    {"embed/cuda", bind_embed},
    {"gather_row/cuda", bind_gather_row},
    {"timestep_embedding/cuda", bind_timestep_embedding},
    {"cast/cuda", bind_cast},
    {"branch_rows/cuda", bind_branch_rows},
    {"model_input/cuda", bind_model_input},
    {"guidance/cuda", bind_guidance},
    {"sampler_update/cuda", bind_sampler_update},
    {"to_rgb8/cuda", bind_to_rgb8},
};

}  // namespace

BindRow find_binding(std::string_view row) {
  for (const auto& [name, bind] : kBindings)
    if (name == row) return bind;
  return nullptr;
}

}  // namespace tempera::cuda
