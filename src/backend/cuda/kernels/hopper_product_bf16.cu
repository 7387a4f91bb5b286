#include "backend/cuda/kernels/hopper_instances.cuh"

namespace tempera::cuda {

HopperKernel hopper_kernel_bf16(int instance, bool gated) {
  return hopper_kernel<__nv_bfloat16>(instance, gated);
}

}  // namespace tempera::cuda
