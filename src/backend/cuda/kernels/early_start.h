// The host's side of programmatic dependent launch (launch.cuh).
#pragma once

#include <cuda_runtime_api.h>

#include "backend/cuda/kernels/kernels.h"

namespace tempera::cuda {

// Whether the current card starts kernels early: what was compiled for an older one does not wait in begin(), and a
// newer card that translates it must not start it before its turn.
inline bool starts_early() {
  static const bool early = code_for_this_card() >= 90;
  return early;
}

inline cudaLaunchAttribute early_start() {
  cudaLaunchAttribute attribute{};
  attribute.id = cudaLaunchAttributeProgrammaticStreamSerialization;
  attribute.val.programmaticStreamSerializationAllowed = 1;
  return attribute;
}

}  // namespace tempera::cuda
