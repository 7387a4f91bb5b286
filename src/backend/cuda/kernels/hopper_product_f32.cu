#include "backend/cuda/kernels/hopper_split.cuh"

namespace tempera::cuda {
namespace {

template <class C>
HopperKernel kernel_of() {
  HopperKernel kernel;
  kernel.function = reinterpret_cast<const void*>(&split_product_kernel<C>);
  kernel.shared_bytes = C::kBytes;
  kernel.threads = kThreadsF32;
  kernel.x_box_rows = C::kTileRows;
  kernel.w_box_rows = C::kColumns / 2;
  kernel.depth = kFloats;
  return kernel;
}

}  // namespace

HopperKernel hopper_kernel_f32(int instance, bool gated) {
  switch (instance) {
    case 7:
      return gated ? kernel_of<SplitCut<128, true>>() : kernel_of<SplitCut<128, false>>();
    case 8:
      return gated ? kernel_of<SplitCut<160, true>>() : kernel_of<SplitCut<160, false>>();
    default:
      return {};
  }
}

}  // namespace tempera::cuda
