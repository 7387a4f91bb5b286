// The reference backend: plain loops over host memory, one for every op. It is the definition of every op and the
// reference for other backends. Its speed does not matter.
//
// Sums and functions are computed in double and rounded to the value's dtype where the graph has a value. A fused op
// (an activation, a residual, a shift, GEGLU) rounds where the separate nodes would round. Its result is equal to
// theirs bit for bit, so that any pass can be checked with == on this backend.
#pragma once

#include <memory>

#include "backend/backend.h"

namespace tempera {

// Named "reference". Every op for f32, f16 and bf16 values, in any mix of dtypes that the shape rules allow; weights
// are plain. Buffers are host memory. Launching a lookup with an id out of range throws Error(internal).
std::unique_ptr<Backend> make_reference_backend();

}  // namespace tempera
