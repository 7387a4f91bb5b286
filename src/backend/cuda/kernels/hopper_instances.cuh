// The kernels of one type, by HopperVariant::instance.
#pragma once

#include "backend/cuda/kernels/hopper_product.cuh"

namespace tempera::cuda {

template <class T, class C>
HopperKernel kernel_of() {
  HopperKernel kernel;
  kernel.function = reinterpret_cast<const void*>(&product_kernel<T, C>);
  kernel.shared_bytes = C::kBytes;
  kernel.threads = kThreads;
  kernel.x_box_rows = C::kTileRows;
  kernel.w_box_rows = C::kColumns / 2;
  kernel.out_box_columns = C::kBoxColumns;
  kernel.depth = kDepth;
  return kernel;
}

template <class T>
HopperKernel hopper_kernel(int instance, bool gated) {
  switch (instance) {
    case 0:
      return gated ? kernel_of<T, Cut<64, 256, true, 1, true>>() : kernel_of<T, Cut<64, 256, true, 1, false>>();
    case 1:
      return gated ? kernel_of<T, Cut<64, 256, true, 2, true>>() : kernel_of<T, Cut<64, 256, true, 2, false>>();
    case 2:
      return gated ? HopperKernel{} : kernel_of<T, Cut<64, 192, true, 1, false>>();
    case 3:
      return gated ? HopperKernel{} : kernel_of<T, Cut<64, 160, true, 1, false>>();
    case 4:
      return gated ? HopperKernel{} : kernel_of<T, Cut<64, 160, true, 2, false>>();
    case 5:
      return gated ? HopperKernel{} : kernel_of<T, Cut<128, 160, false, 1, false>>();
    case 6:
      return gated ? HopperKernel{} : kernel_of<T, Cut<128, 160, false, 2, false>>();
    default:
      return {};
  }
}

}  // namespace tempera::cuda
