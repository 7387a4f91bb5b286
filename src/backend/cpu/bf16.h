// Between f32 and bf16 at the speed of memory, on the calling thread.
#pragma once

#include <cstdint>

#include "base/half.h"

namespace tempera {

void expand_bf16(const bf16* x, float* y, int64_t n);

// y = x, or x + residual, rounded to nearest even. residual may be null.
void round_bf16(const float* x, const bf16* residual, bf16* y, int64_t n);

}  // namespace tempera
