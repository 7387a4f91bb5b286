#include "backend/cuda/tensor_map.h"

#include <cudaTypedefs.h>

#include <array>

#include "backend/cuda/device.h"
#include "base/error.h"

namespace tempera::cuda {
namespace {

// The driver's function, without linking the driver.
PFN_cuTensorMapEncodeTiled_v12000 encoder() {
  void* function = nullptr;
  cudaDriverEntryPointQueryResult found{};
  check(cudaGetDriverEntryPointByVersion("cuTensorMapEncodeTiled", &function, 12000, cudaEnableDefault, &found),
        "cudaGetDriverEntryPointByVersion");
  if (found != cudaDriverEntryPointSuccess || function == nullptr)
    fail(ErrorCode::unavailable, "the CUDA driver has no cuTensorMapEncodeTiled: install a driver of CUDA 12 or later");
  return reinterpret_cast<PFN_cuTensorMapEncodeTiled_v12000>(function);
}

CUtensorMapDataType data_type(DType type) {
  if (type == DType::f32) return CU_TENSOR_MAP_DATA_TYPE_FLOAT32;
  return type == DType::bf16 ? CU_TENSOR_MAP_DATA_TYPE_BFLOAT16 : CU_TENSOR_MAP_DATA_TYPE_FLOAT16;
}

}  // namespace

CUtensorMap make_tensor_map(DType type, const void* data, std::span<const int64_t> sizes,
                            std::span<const int64_t> strides, std::span<const int> box) {
  constexpr size_t kMost = 5;
  TEMPERA_ASSERT(sizes.size() <= kMost && strides.size() + 1 == sizes.size() && box.size() == sizes.size());
  std::array<cuuint64_t, kMost> size{}, stride{};
  std::array<cuuint32_t, kMost> boxes{}, steps{};
  for (size_t i = 0; i < sizes.size(); ++i) {
    size[i] = static_cast<cuuint64_t>(sizes[i]);
    boxes[i] = static_cast<cuuint32_t>(box[i]);
    steps[i] = 1;
    if (i > 0) stride[i - 1] = static_cast<cuuint64_t>(strides[i - 1]) * size_of(type);
  }
  CUtensorMap map;
  const size_t row = static_cast<size_t>(box[0]) * size_of(type);
  const CUresult status =
      encoder()(&map, data_type(type), static_cast<cuuint32_t>(sizes.size()), const_cast<void*>(data), size.data(),
                stride.data(), boxes.data(), steps.data(), CU_TENSOR_MAP_INTERLEAVE_NONE,
                row == 128 ? CU_TENSOR_MAP_SWIZZLE_128B : CU_TENSOR_MAP_SWIZZLE_64B, CU_TENSOR_MAP_L2_PROMOTION_L2_256B,
                CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE);
  if (status != CUDA_SUCCESS)
    fail(ErrorCode::internal, "the CUDA driver refuses a tensor map of {} dimensions, the first of {} elements ({})",
         sizes.size(), sizes[0], static_cast<int>(status));
  return map;
}

}  // namespace tempera::cuda
