// Products on Hopper, host side: tensor maps, the grid, the launch.
#include "backend/cuda/kernels/hopper_product.h"

#include <algorithm>
#include <array>

#include "backend/cuda/device.h"
#include "backend/cuda/kernels/early_start.h"
#include "backend/cuda/tensor_map.h"
#include "base/error.h"

namespace tempera::cuda {
namespace {

// Each was the fastest for some layer of SDXL on an H100. In half precision all share tiles except two for short k. The
// last two are for f32.
constexpr std::array kVariants = {
    HopperVariant{128, 256, 1, 0}, HopperVariant{128, 256, 2, 1}, HopperVariant{128, 192, 1, 2},
    HopperVariant{128, 160, 1, 3}, HopperVariant{128, 160, 2, 4}, HopperVariant{128, 160, 1, 5},
    HopperVariant{128, 160, 2, 6}, HopperVariant{128, 128, 1, 7}, HopperVariant{128, 160, 1, 8},
};

constexpr int64_t kGroupRows = 2048;  // of x, shared by concurrent blocks: 5 MiB at k = 1280, a tenth of the L2 cache

HopperKernel kernel_for([[maybe_unused]] const HopperVariant& variant, [[maybe_unused]] const HopperProductSpec& spec) {
#if TEMPERA_CUDA_HOPPER
  if (spec.type == DType::f32) return hopper_kernel_f32(variant.instance, spec.gated);
  return spec.type == DType::bf16 ? hopper_kernel_bf16(variant.instance, spec.gated)
                                  : hopper_kernel_f16(variant.instance, spec.gated);
#else
  return {};
#endif
}

// A matrix cut into boxes.
CUtensorMap matrix_map(DType type, const void* data, int64_t rows, int64_t columns, int64_t stride, int box_rows,
                       int box_columns) {
  return make_tensor_map(type, data, std::array{columns, rows}, std::array{stride}, std::array{box_columns, box_rows});
}

int64_t quotient_up(int64_t a, int64_t b) {
  return (a + b - 1) / b;
}

}  // namespace

std::span<const HopperVariant> hopper_variants() {
  return kVariants;
}

std::string name_of(const HopperVariant& variant) {
  return fmt::format("hopper_product {}: {}x{}{}", variant.instance, variant.rows, variant.columns,
                     variant.cluster == 1 ? "" : fmt::format(", clusters of {}", variant.cluster));
}

bool has_hopper_code() {
  return TEMPERA_CUDA_HOPPER != 0;
}

bool hopper_can_run(const HopperVariant& variant, const HopperProductSpec& spec) {
  constexpr int64_t kMost = int64_t{1} << 30;
  if (spec.type != DType::f16 && spec.type != DType::bf16 && spec.type != DType::f32) return false;
  if (spec.to != spec.type && spec.to != DType::f32) return false;
  if (spec.m < 1 || spec.n < 8 || spec.k < 8 || spec.m > kMost || spec.n > kMost || spec.k > kMost) return false;
  if (spec.n % 8 != 0 || spec.k % 8 != 0 || spec.x_stride % 8 != 0 || spec.out_stride % 8 != 0) return false;
  if (spec.tail < 0 || spec.tail >= spec.k || spec.tail % 8 != 0) return false;
  if (spec.x_stride < spec.k - spec.tail || spec.out_stride < spec.n) return false;
  if (spec.gated && (spec.residual || spec.activation != Activation::none)) return false;
  if (spec.activation == Activation::relu || spec.activation == Activation::tanh) return false;
  const HopperKernel kernel = kernel_for(variant, spec);
  if (kernel.function == nullptr) return false;
  const int64_t columns = spec.gated ? variant.columns / 2 : variant.columns;
  return quotient_up(spec.m, variant.rows) * quotient_up(spec.n, columns) <= kMost;
}

HopperProduct::HopperProduct(const HopperVariant& variant, const HopperProductSpec& spec, const HopperProductArgs& args)
    : params_{}, kernel_(nullptr), grid_(0), threads_(0), shared_bytes_(0), cluster_(variant.cluster) {
  TEMPERA_ASSERT(hopper_can_run(variant, spec));
  const HopperKernel kernel = kernel_for(variant, spec);
  const int64_t columns = spec.gated ? variant.columns / 2 : variant.columns;
  kernel_ = kernel.function;
  threads_ = kernel.threads;
  shared_bytes_ = kernel.shared_bytes;

  HopperParams& p = params_;
  const int64_t head = spec.k - spec.tail;
  p.x = matrix_map(spec.type, args.x, spec.m, head, spec.x_stride, kernel.x_box_rows, kernel.depth);
  if (spec.tail > 0)
    p.tail = matrix_map(spec.type, args.tail, spec.m, spec.tail, spec.tail, kernel.x_box_rows, kernel.depth);
  p.w =
      matrix_map(spec.type, args.w, spec.gated ? 2 * spec.n : spec.n, spec.k, spec.k, kernel.w_box_rows, kernel.depth);
  p.to_f32 = spec.to == DType::f32;
  if (!p.to_f32) {
    const int width = kernel.out_box_columns;
    p.out = matrix_map(spec.type, args.out, spec.m, spec.n, spec.out_stride, 64, width);
    if (spec.residual) p.residual = matrix_map(spec.type, args.residual, spec.m, spec.n, spec.out_stride, 64, width);
  }
  p.bias = spec.bias ? args.bias : nullptr;
  p.residual_data = spec.residual ? args.residual : nullptr;
  p.out_data = args.out;
  p.out_stride = spec.out_stride;
  p.m = static_cast<int>(spec.m);
  p.n = static_cast<int>(spec.n);
  p.x_columns = static_cast<int>(head);
  p.x_blocks = static_cast<int>(quotient_up(head, kernel.depth));
  p.k_blocks = p.x_blocks + static_cast<int>(quotient_up(spec.tail, kernel.depth));
  p.tile_rows = static_cast<int>(quotient_up(spec.m, int64_t{variant.rows} * variant.cluster));
  p.tile_columns = static_cast<int>(quotient_up(spec.n, columns));
  p.tiles = p.tile_rows * p.tile_columns;
  p.group = static_cast<int>(std::max<int64_t>(1, kGroupRows / (int64_t{variant.rows} * variant.cluster)));
  p.activation = spec.activation;

  check(cudaFuncSetAttribute(kernel_, cudaFuncAttributeMaxDynamicSharedMemorySize, static_cast<int>(shared_bytes_)),
        "cudaFuncSetAttribute");
  grid_ = static_cast<unsigned>(std::min(p.tiles, std::max(1, multiprocessors() / cluster_)) * cluster_);
}

void HopperProduct::launch(cudaStream_t stream) const {
  cudaLaunchAttribute attributes[2] = {early_start(), {}};
  attributes[1].id = cudaLaunchAttributeClusterDimension;
  attributes[1].val.clusterDim.x = static_cast<unsigned>(cluster_);
  attributes[1].val.clusterDim.y = attributes[1].val.clusterDim.z = 1;
  cudaLaunchConfig_t config{};
  config.gridDim = dim3(grid_);
  config.blockDim = dim3(threads_);
  config.dynamicSmemBytes = shared_bytes_;
  config.stream = stream;
  config.attrs = attributes;
  config.numAttrs = 2;
  void* arguments[] = {const_cast<HopperParams*>(&params_)};
  check(cudaLaunchKernelExC(&config, kernel_, arguments), "cudaLaunchKernelExC");
}

}  // namespace tempera::cuda
