// Weights in the form of the CUDA kernels: matrices as in the checkpoint, convolutions with the channels last (O, k, k,
// I), the biases of both in the type of the output. Host code, part of the table.
#pragma once

#include "backend/backend.h"

namespace tempera {

// For KernelInfo::packed of conv2d, linear and geglu_linear.
KernelInfo::Packed cuda_packed(const Problem& problem, int input);
// For Kernel::pack of every row, with the same form. Weights of other ops are plain.
void cuda_pack(const Problem& problem, int input, std::span<const WeightPart> parts, std::byte* destination);

}  // namespace tempera
