// The host's part of programmatic dependent launch (launch.cuh).
#pragma once

#include <cuda_runtime_api.h>

#include "backend/cuda/kernels/kernels.h"

namespace tempera::cuda {

// Whether kernels start early on the current card. Code for an older architecture does not wait in begin(). If a newer
// card runs a translation of that code, it must not start it early.
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
