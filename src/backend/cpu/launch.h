// The shared part of the CPU's rows, both own kernels and those of oneDNN: their types, and loops that allocate
// nothing.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <utility>

#include "backend/backend.h"
#include "base/parallel.h"

namespace tempera {

inline bool is_f32_or_bf16(DType type) {
  return type == DType::f32 || type == DType::bf16;
}

// Refuses, unless every input and the output are f32 or bf16. Inputs of another fixed type are exceptions.
inline std::optional<std::string> refuse_other_than_f32_bf16(const Problem& problem) {
  const auto other = [](const TensorDesc& d) { return !is_f32_or_bf16(d.dtype); };
  for (const TensorDesc& d : problem.inputs)
    if (other(d)) return "takes f32 and bf16 only";
  if (other(problem.output)) return "writes f32 and bf16 only";
  return std::nullopt;
}

inline KernelInfo kernel_info(std::string_view name, OpKind op) {
  KernelInfo info;
  info.name = name;
  info.op = op;
  return info;
}

// parallel_for without the heap: std::function holds a reference to `body`.
template <class Body>
void parallel_ranges(int64_t n, int64_t grain, const Body& body) {
  parallel_for(n, grain, std::cref(body));
}

// The number of rows of `bytes` each that are enough work for another thread: about 64 KiB.
inline int64_t grain_for(int64_t bytes) {
  return std::max<int64_t>(1, 65536 / std::max<int64_t>(1, bytes));
}

}  // namespace tempera
