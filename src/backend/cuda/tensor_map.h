// What Hopper's copy engine (TMA) needs to know of a tensor: sizes, strides, the box that one copy moves.
#pragma once

#include <cuda.h>

#include <cstdint>
#include <span>

#include "base/dtype.h"

namespace tempera::cuda {

// A tensor of f16, bf16 or f32. sizes: innermost first; strides: in elements, of all dimensions but the first, of
// multiples of 16 bytes; box: as sizes. Rows of a box are 64 or 128 bytes and swizzled over that width. Throws Error
// where the driver refuses.
CUtensorMap make_tensor_map(DType type, const void* data, std::span<const int64_t> sizes,
                            std::span<const int64_t> strides, std::span<const int> box);

}  // namespace tempera::cuda
