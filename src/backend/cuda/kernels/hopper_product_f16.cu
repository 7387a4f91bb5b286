#include "backend/cuda/kernels/hopper_instances.cuh"

namespace tempera::cuda {

HopperKernel hopper_kernel_f16(int instance, bool gated) {
  return hopper_kernel<__half>(instance, gated);
}

}  // namespace tempera::cuda
