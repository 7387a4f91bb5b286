// The CUDA backend: products by cuBLASLt, convolutions by cuDNN, everything else by kernels of our own, on the first
// card that CUDA_VISIBLE_DEVICES shows.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "backend/backend.h"

namespace tempera {

// Throws Error(unavailable) naming what is missing: a driver, a card, code for it, cuBLASLt or cuDNN.
std::unique_ptr<Backend> make_cuda_backend();

// Why make_cuda_backend() would throw; empty when it would not.
std::string cuda_missing();

}  // namespace tempera
