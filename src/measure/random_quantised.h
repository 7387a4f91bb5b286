// Random weights in quantised types, for models of full size. As in random_values.h, bytes depend on (stream, element)
// alone.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "measure/random_values.h"

namespace tempera {

// Elements of a stream, beginning at `begin`, rounded to float8_e4m3fn.
void random_fp8(uint64_t stream, size_t begin, Spread spread, std::span<std::byte> out);

// Blocks of the type Q4_K, beginning with block `begin` of the stream. The mean of their values is 0, the deviation
// that of `spread`.
void random_q4_k(uint64_t stream, size_t begin, Spread spread, std::span<std::byte> out);

}  // namespace tempera
