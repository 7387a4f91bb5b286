// The CPU backend: matrix products and convolutions by oneDNN, all other ops by tempera's own kernels (Highway).
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "backend/backend.h"

namespace tempera {

// The features of this machine, read once from the processor.
struct CpuFeatures {
  int threads = 1;
  bool avx2 = false;
  bool avx512 = false;       // F, BW, DQ and VL
  bool avx512_bf16 = false;  // products of bf16 numbers
  bool amx = false;          // the same in tiles, allowed by the system (amx.h)
  // Whether oneDNN computes with bf16 operands here. If not, bf16 models use f32 arithmetic.
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
