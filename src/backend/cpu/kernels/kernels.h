// The CPU's own kernels, one function per family of ops. Each appends its rows to the table, the preferred ones first.
#pragma once

#include <vector>

#include "backend/backend.h"

namespace tempera {

void add_group_norm_kernels(std::vector<Kernel>& table);
void add_layer_norm_kernels(std::vector<Kernel>& table);
void add_activation_kernels(std::vector<Kernel>& table);   // activate, gelu_gate
void add_elementwise_kernels(std::vector<Kernel>& table);  // add, scale, cast
void add_movement_kernels(std::vector<Kernel>& table);     // concat, upsample2x, embed, gather_row, branch_rows
void add_sampling_kernels(std::vector<Kernel>& table);     // timestep_embedding and the ops of the denoising loop
void add_attention_kernels(std::vector<Kernel>& table);
void add_conv_winograd_kernels(std::vector<Kernel>& table);  // conv2d: before the rows of oneDNN

}  // namespace tempera
