// The functions that bind the rows of the table (row_list.h), one per row, by families. All get the objects that the
// backend owns for its lifetime.
#pragma once

#include "backend/backend.h"
#include "backend/cuda/cudnn.h"
#include "backend/cuda/device.h"
#include "backend/cuda/enqueue.h"
#include "backend/cuda/kernels/kernels.h"
#include "backend/cuda/product.h"

namespace tempera::cuda {

struct Machine {
  Tuning& tuning;
  Products& products;
  CudnnOps& cudnn;
  cudaStream_t stream;  // for timing algorithms
  bool hopper;          // whether tempera's kernels for Hopper run
};

using BindRow = Enqueue (*)(Machine&, const Problem&, const Binding&);

// bind_matmul.cpp
Enqueue bind_linear(Machine&, const Problem&, const Binding&);
Enqueue bind_geglu_linear(Machine&, const Problem&, const Binding&);
Enqueue bind_geglu_linear_hopper(Machine&, const Problem&, const Binding&);
Enqueue bind_conv2d_pointwise(Machine&, const Problem&, const Binding&);
Enqueue bind_conv2d_cudnn(Machine&, const Problem&, const Binding&);
Enqueue bind_conv2d_few_outputs(Machine&, const Problem&, const Binding&);
Enqueue bind_conv2d_few_inputs(Machine&, const Problem&, const Binding&);
Enqueue bind_conv2d_direct(Machine&, const Problem&, const Binding&);
// bind_attention.cpp
Enqueue bind_attention_flash(Machine&, const Problem&, const Binding&);
Enqueue bind_attention_naive(Machine&, const Problem&, const Binding&);
// bind_norm.cpp
Enqueue bind_group_norm(Machine&, const Problem&, const Binding&);
Enqueue bind_layer_norm(Machine&, const Problem&, const Binding&);
// bind_elementwise.cpp
Enqueue bind_activate(Machine&, const Problem&, const Binding&);
Enqueue bind_add(Machine&, const Problem&, const Binding&);
Enqueue bind_scale(Machine&, const Problem&, const Binding&);
Enqueue bind_cast(Machine&, const Problem&, const Binding&);
Enqueue bind_gelu_gate(Machine&, const Problem&, const Binding&);
Enqueue bind_concat(Machine&, const Problem&, const Binding&);
Enqueue bind_upsample2x(Machine&, const Problem&, const Binding&);
Enqueue bind_embed(Machine&, const Problem&, const Binding&);
Enqueue bind_gather_row(Machine&, const Problem&, const Binding&);
Enqueue bind_branch_rows(Machine&, const Problem&, const Binding&);
// bind_sampling.cpp
Enqueue bind_timestep_embedding(Machine&, const Problem&, const Binding&);
Enqueue bind_model_input(Machine&, const Problem&, const Binding&);
Enqueue bind_guidance(Machine&, const Problem&, const Binding&);
Enqueue bind_threshold_sample(Machine&, const Problem&, const Binding&);
Enqueue bind_sampler_update(Machine&, const Problem&, const Binding&);
Enqueue bind_blend_mask(Machine&, const Problem&, const Binding&);
Enqueue bind_to_rgb8(Machine&, const Problem&, const Binding&);

inline In input(const Problem& p, const Binding& b, size_t i) {
  return {b.inputs[i], p.inputs[i].dtype};
}
inline Out output(const Problem& p, const Binding& b) {
  return {b.output, p.output.dtype};
}

}  // namespace tempera::cuda
