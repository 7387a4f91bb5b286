// Parameters that travel: kept packed in pinned host memory, copied on a stream of their own.
#pragma once

#include "backend/cuda/device.h"

namespace tempera::cuda {

// Writes all items to pinned memory at once. The queue must outlive the result. Throws Error(out_of_memory) where the
// host has too little.
std::unique_ptr<Transfers> make_pinned_transfers(CudaQueue& queue, std::vector<Transfers::Item> items);

}  // namespace tempera::cuda
