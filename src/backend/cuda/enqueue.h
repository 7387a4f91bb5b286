// A bound step as the CUDA backend builds it.
#pragma once

#include <cuda_runtime_api.h>

#include <functional>

namespace tempera::cuda {

// Enqueues work on a stream. It allocates nothing, waits for nothing, and may be called while the stream is captured.
using Enqueue = std::function<void(cudaStream_t)>;

}  // namespace tempera::cuda
