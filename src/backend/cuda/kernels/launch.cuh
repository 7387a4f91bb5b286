// Programmatic dependent launch (CUDA programming guide; Hopper and later). A kernel launched with launch_early() may
// start before the previous one ends, which hides the time between two kernels. So it must call begin() before it reads
// or writes memory that other kernels use.
#pragma once

#include "backend/cuda/kernels/early_start.h"

namespace tempera::cuda {

// Waits until the previous kernels are complete, and lets the next one start.
__device__ inline void begin() {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 900
  asm volatile("griddepcontrol.launch_dependents;\ngriddepcontrol.wait;" ::: "memory");
#endif
}

// The caller checks the last error.
template <class... Parameters, class... Arguments>
void launch_early(void (*kernel)(Parameters...), dim3 grid, dim3 block, size_t shared, cudaStream_t stream,
                  Arguments... arguments) {
  cudaLaunchAttribute attribute = early_start();
  cudaLaunchConfig_t config{};
  config.gridDim = grid;
  config.blockDim = block;
  config.dynamicSmemBytes = shared;
  config.stream = stream;
  config.attrs = &attribute;
  config.numAttrs = starts_early() ? 1 : 0;
  cudaLaunchKernelEx(&config, kernel, Parameters(arguments)...);
}

}  // namespace tempera::cuda
