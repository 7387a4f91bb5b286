// oneDNN's part of the CPU table: convolutions and matrix products. Only files of this folder include its headers.
#pragma once

#include <string>
#include <vector>

#include "backend/backend.h"

namespace tempera {

// Rows for conv2d, linear and geglu_linear; they share one engine and one cache of plans.
// Throws Error(unavailable) when oneDNN cannot start.
void add_onednn_kernels(std::vector<Kernel>& table);

std::string onednn_version();  // of the library loaded: "2.6.3"

// Whether matrix products of bf16 numbers run on this machine (AVX-512 or better).
bool onednn_has_bf16();

}  // namespace tempera
