// The inverse of block_types.h: floats become blocks of GGUF's types, with the bytes that ggml's reference code gives
// for the same floats (ggml-quants.c of ggml-org/ggml, the functions quantize_row_*_ref).
#pragma once

#include <cstddef>

#include "weights/checkpoint.h"

namespace tempera {

// Encodes one block: `values` has type.elements finite numbers, `block` is type.bytes long.
using EncodeBlock = void (*)(const float* values, std::byte* block);

// For Q4_0, Q4_1, Q5_0, Q5_1, Q8_0, Q4_K, Q5_K and Q6_K. nullptr for Q2_K and Q3_K, which are only read.
EncodeBlock block_encoder(const BlockType& type);

}  // namespace tempera
