// The functions that bind the rows of the table.
#pragma once

#include <span>

#include "backend/cuda/rows.h"

namespace tempera::cuda {

// In the order of cuda_target().kernels.
std::span<const BindRow> bindings();

}  // namespace tempera::cuda
