// Rows of the table that use oneDNN.
#pragma once

#include "backend/cpu/onednn/plan.h"

namespace tempera::onednn {

// Bytes of code that oneDNN generates for a distinct problem, fitted to runs of the embedded model (docs/MEMORY.md).
inline constexpr size_t kGeneratedCode = size_t{130} << 10;

void add_linear_kernels(std::vector<Kernel>& table, const std::shared_ptr<Library>& library);  // linear, geglu_linear
void add_conv2d_kernels(std::vector<Kernel>& table, const std::shared_ptr<Library>& library);
// The same ops for bf16 on processors without bf16 arithmetic. These rows must be last.
void add_conv_upcast_kernels(std::vector<Kernel>& table, const std::shared_ptr<Library>& library);
void add_upcast_kernels(std::vector<Kernel>& table, const std::shared_ptr<Library>& library);

}  // namespace tempera::onednn
