// The description of a tensor for Hopper's copy engine (TMA): sizes, strides, the box that one copy moves.
#pragma once

#include <cuda.h>

#include <cstdint>
#include <span>

#include "base/dtype.h"

namespace tempera::cuda {

// A tensor of f16, bf16 or f32. sizes: innermost first. strides: in elements, of all dimensions but the first,
// multiples of 16 bytes. box: in the order of sizes. Rows of a box have 64 or 128 bytes and are swizzled over that
// width. Throws Error if the driver refuses.
CUtensorMap make_tensor_map(DType type, const void* data, std::span<const int64_t> sizes,
                            std::span<const int64_t> strides, std::span<const int> box);

}  // namespace tempera::cuda
