// The CPU backend: matrix products and convolutions by oneDNN, everything else by kernels of our own (Highway).
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "backend/backend.h"

namespace tempera {

// What this machine offers, read once from the processor.
struct CpuFeatures {
  int threads = 1;
  bool avx2 = false;
  bool avx512 = false;       // F, BW, DQ and VL
  bool avx512_bf16 = false;  // products of bf16 numbers
  bool amx = false;          // the same in tiles, granted by the system (amx.h)
  // Whether oneDNN computes with bf16 operands here; if not, bf16 models run on f32 arithmetic.
  bool bf16_arithmetic = false;
  std::string onednn;  // its version: "2.6.3"
};

CpuFeatures cpu_features();

// "2 threads, AVX2 (oneDNN 2.6.3)"
std::string to_string(const CpuFeatures& features);

// Names and versions: "oneDNN" and "2.6.3", of the library loaded; Highway's is that of its headers.
std::vector<std::pair<std::string, std::string>> cpu_libraries();

// Throws Error(unavailable) when oneDNN cannot start.
std::unique_ptr<Backend> make_cpu_backend();

}  // namespace tempera
