// The shared part of the two norms: the problems that they can run.
#pragma once

#include "backend/cpu/launch.h"

namespace tempera {

// Activations in f32 or bf16, gamma and beta in f32, as from the builder.
inline std::optional<std::string> refuse_norm(const Problem& problem) {
  if (problem.inputs[1].dtype != DType::f32 || problem.inputs[2].dtype != DType::f32)
    return "takes gamma and beta in f32 only";
  return refuse_other_than_f32_bf16(problem);
}

}  // namespace tempera
