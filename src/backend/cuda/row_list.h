// The rows of the CUDA backend, in order: the first row of an op that does not refuse a problem runs it. An entry is
// the function that binds the row (rows.h) and the row's description, with functions of table.cpp.
//
// There is one list, which is expanded twice: table.cpp uses the descriptions without CUDA, binding.cpp uses the
// functions if CUDA is built. So a row without a function does not compile.
#pragma once

#define TEMPERA_CUDA_ROWS(ROW)                                                                                        \
  ROW(bind_conv2d_pointwise,                                                                                          \
      weighted(row("conv2d/gemm", OpKind::conv2d, kSums, false, library_workspace, refuse_pointwise)))                \
  ROW(bind_conv2d_cudnn,                                                                                              \
      weighted(row("conv2d/cudnn", OpKind::conv2d, kSums, false, library_workspace, refuse_cudnn), kTf32))            \
  ROW(bind_conv2d_few_outputs,                                                                                        \
      weighted(row("conv2d/few_outputs", OpKind::conv2d, kSums, false, nullptr, refuse_few_outputs)))                 \
  ROW(bind_conv2d_few_inputs,                                                                                         \
      weighted(row("conv2d/few_inputs", OpKind::conv2d, kSums, false, nullptr, refuse_few_inputs)))                   \
  ROW(bind_conv2d_direct, weighted(row("conv2d/direct", OpKind::conv2d, kSums, false, nullptr, refuse_tail)))         \
  ROW(bind_linear, weighted(row("linear/gemm", OpKind::linear, kSums, false, library_workspace, refuse_product)))     \
  ROW(bind_geglu_linear_hopper,                                                                                       \
      weighted(row(kCudaHopperRow, OpKind::geglu_linear, kSums, false, nullptr, refuse_hopper)))                      \
  ROW(bind_geglu_linear,                                                                                              \
      weighted(row("geglu_linear/gemm", OpKind::geglu_linear, kSums, false, geglu_workspace, refuse_product)))        \
  ROW(bind_attention_flash, row("attention/flash", OpKind::attention, kSums, false, nullptr, refuse_flash))           \
  ROW(bind_attention_naive, row("attention/naive", OpKind::attention, kSums, false, score_workspace, any_float))      \
  ROW(bind_group_norm,                                                                                                \
      row("group_norm/cuda", OpKind::group_norm, kSums, true, group_norm_workspace, refuse_group_norm))               \
  ROW(bind_layer_norm, row("layer_norm/cuda", OpKind::layer_norm, kSums, true, nullptr, refuse_norm))                 \
  ROW(bind_gelu_gate, row("gelu_gate/cuda", OpKind::gelu_gate, kRounds, false))                                       \
  ROW(bind_activate, row("activate/cuda", OpKind::activate, kRounds, true))                                           \
  ROW(bind_add, row("add/cuda", OpKind::add, kRounds, true))                                                          \
  ROW(bind_scale, row("scale/cuda", OpKind::scale, kRounds, true, nullptr, refuse_scale))                             \
  ROW(bind_concat, row("concat/cuda", OpKind::concat, kMoves, false))                                                 \
  ROW(bind_upsample2x, row("upsample2x/cuda", OpKind::upsample2x, kMoves, false))                                     \
  ROW(bind_embed, row("embed/cuda", OpKind::embed, kMoves, false))                                                    \
  ROW(bind_gather_row, row("gather_row/cuda", OpKind::gather_row, kMoves, false))                                     \
  ROW(bind_timestep_embedding, row("timestep_embedding/cuda", OpKind::timestep_embedding, kRounds, false))            \
  ROW(bind_cast, row("cast/cuda", OpKind::cast, kRounds, false))                                                      \
  ROW(bind_branch_rows, row("branch_rows/cuda", OpKind::branch_rows, kMoves, false))                                  \
  ROW(bind_model_input, row("model_input/cuda", OpKind::model_input, kRounds, false))                                 \
  ROW(bind_guidance, row("guidance/cuda", OpKind::guidance, kSums, false, guidance_workspace))                        \
  ROW(bind_threshold_sample,                                                                                          \
      row("threshold_sample/cuda", OpKind::threshold_sample, kRounds, true, threshold_workspace))                     \
  ROW(bind_sampler_update, row("sampler_update/cuda", OpKind::sampler_update, kRounds, true, nullptr, refuse_update)) \
  ROW(bind_blend_mask, row("blend_mask/cuda", OpKind::blend_mask, kRounds, true))                                     \
  ROW(bind_to_rgb8, row("to_rgb8/cuda", OpKind::to_rgb8, kRounds, false))
