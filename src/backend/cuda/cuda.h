// The CUDA backend: products by cuBLASLt, convolutions by cuDNN, all other ops by tempera's own kernels. It uses the
// first card in CUDA_VISIBLE_DEVICES.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "backend/backend.h"
#include "base/error.h"

namespace tempera {

// most_pinned: bytes of host memory to lock for streamed parameters; by default half of the free memory. Throws
// Error(unavailable) with the missing thing: a driver, a card, code for it, cuBLASLt or cuDNN.
std::unique_ptr<Backend> make_cuda_backend(std::optional<size_t> most_pinned = {});

// Names and versions of the headers that this was compiled with: "cuDNN" and "9.19.0". Needs no card and no driver.
struct CudaLibrary {
  std::string name, version;
  bool linked = false;  // otherwise make_cuda_backend() opens it
};
std::vector<CudaLibrary> cuda_libraries();

// The reason why make_cuda_backend() would throw. Empty if it would not.
Message cuda_missing();

}  // namespace tempera
