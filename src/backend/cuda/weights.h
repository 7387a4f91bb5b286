// Weights in the form of the CUDA kernels: matrices as in the checkpoint, convolutions with the channels last (O, k, k,
// I) and the same padding on both sides, the biases of both in the type of the output. Host code, part of the table.
#pragma once

#include "backend/backend.h"

namespace tempera {

// The window of a convolution. The engines of cuDNN have one padding for both sides. If the paddings of the op differ,
// the window is larger by the difference: it has zeros in its first rows and columns (`before` of them) or in its last
// ones. The sums are the same.
struct CudaWindow {
  int kernel = 1, pad = 0, before = 0;
};
CudaWindow cuda_window(const Conv2d& op);

// For KernelInfo::packed of conv2d, linear and geglu_linear.
KernelInfo::Packed cuda_packed(const Problem& problem, int input);
// For Kernel::pack of every row, with the same form. Weights of other ops are plain.
void cuda_pack(const Problem& problem, int input, std::span<const WeightPart> parts, std::byte* destination);

}  // namespace tempera
