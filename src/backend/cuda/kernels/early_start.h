// The host's side of programmatic dependent launch (launch.cuh).
#pragma once

#include <cuda_runtime_api.h>

namespace tempera::cuda {

// Whether the current card starts kernels early.
inline bool starts_early() {
  static const bool early = [] {
    int device = 0, major = 0;
    return cudaGetDevice(&device) == cudaSuccess &&
           cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, device) == cudaSuccess && major >= 9;
  }();
  return early;
}

inline cudaLaunchAttribute early_start() {
  cudaLaunchAttribute attribute{};
  attribute.id = cudaLaunchAttributeProgrammaticStreamSerialization;
  attribute.val.programmaticStreamSerializationAllowed = 1;
  return attribute;
}

}  // namespace tempera::cuda
