// The CUDA backend: products by cuBLASLt, convolutions by cuDNN, everything else by kernels of our own, on the first
// card that CUDA_VISIBLE_DEVICES shows.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "backend/backend.h"
#include "base/error.h"

namespace tempera {

// most_pinned: bytes of host memory to lock for parameters that travel, half of what is free unless given.
// Throws Error(unavailable) naming what is missing: a driver, a card, code for it, cuBLASLt or cuDNN.
std::unique_ptr<Backend> make_cuda_backend(std::optional<size_t> most_pinned = {});

// Names and versions of the headers that this was compiled with: "cuDNN" and "9.19.0". Needs no card and no driver.
struct CudaLibrary {
  std::string name, version;
  bool linked = false;  // else it is opened by make_cuda_backend()
};
std::vector<CudaLibrary> cuda_libraries();

// Why make_cuda_backend() would throw; empty when it would not.
Message cuda_missing();

}  // namespace tempera
