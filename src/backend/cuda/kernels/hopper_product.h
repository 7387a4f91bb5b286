// Linear layers on Hopper's tensor cores with everything that follows the product fused into it:
//   out (m, n) = act(x w^T + bias) + residual, or, gated, out (m, n) = (x wv^T + bv) * gelu(x wg^T + bg)
// of f16, bf16 or f32 with sums in f32, made in a fixed order and rounded once; f32 operands are used to 21 bits and
// numbers that are not finite give NaN. Which variant is fastest depends on the shape: the caller times those that can
// run and keeps one.
#pragma once

#include <cuda.h>
#include <cuda_runtime_api.h>

#include <cstdint>
#include <span>
#include <string>

#include "base/dtype.h"
#include "ir/ops.h"

namespace tempera::cuda {

struct HopperProductSpec {
  // x is (m, k), w is (n, k), or with `gated` (2 n, k), values before gates. k and n are multiples of 8.
  int64_t m = 0, n = 0, k = 0;
  int64_t tail = 0;  // of x's columns, the last ones, which are a matrix of their own with rows of that length; as k
  DType type = DType::f16, to = DType::f16;  // of x and w: f16, bf16 or f32; of out, bias and residual: the same or f32
  bool bias = false, residual = false, gated = false;  // with `gated` neither residual nor activation
  Activation activation = Activation::none;            // none, silu, gelu, quick_gelu
  int64_t x_stride = 0, out_stride = 0;                // elements from row to row, multiples of 8; residual as out
};

// All start at multiples of 16 bytes; bias has n elements, with `gated` 2 n. out may be residual, not x.
struct HopperProductArgs {
  const void *x = nullptr, *tail = nullptr, *w = nullptr, *bias = nullptr, *residual = nullptr;
  void* out = nullptr;
};

// How the work is cut: two warpgroups share a tile of rows x columns or each has its own, so that one writes while the
// other multiplies; two blocks of a cluster share the columns' weights.
struct HopperVariant {
  int rows, columns, cluster;
  int instance;  // of the table of kernels
};
std::span<const HopperVariant> hopper_variants();
std::string name_of(const HopperVariant& variant);  // "hopper_product 1: 128x256, clusters of 2"

// What a kernel is given.
struct HopperParams {
  CUtensorMap x, tail, w, residual, out;
  const void *bias, *residual_data;  // null where there is none
  void* out_data;
  int64_t out_stride;
  int m, n, k_blocks;
  int x_columns, x_blocks;                    // without the tail, whose blocks are the last
  int tile_rows, tile_columns, tiles, group;  // tiles down (in units of clusters), across, in all; rows of a group
  bool to_f32;
  Activation activation;
};

// A product bound to addresses: launch() enqueues one kernel and may be captured into a graph.
class HopperProduct {
 public:
  // The current device is the one that it will run on. Throws Error where the spec is not one of hopper_can_run, or
  // the driver refuses.
  HopperProduct(const HopperVariant& variant, const HopperProductSpec& spec, const HopperProductArgs& args);
  void launch(cudaStream_t stream) const;

 private:
  HopperParams params_;
  const void* kernel_;
  unsigned grid_, threads_, shared_bytes_;
  int cluster_;
};

// Whether this build has the kernels; the card must be of compute capability 9.0.
bool has_hopper_code();
bool hopper_can_run(const HopperVariant& variant, const HopperProductSpec& spec);

// One compiled kernel, and its sizes in shared memory.
struct HopperKernel {
  const void* function = nullptr;  // null: this variant has no such form
  unsigned shared_bytes = 0, threads = 0;
  int x_box_rows = 0, w_box_rows = 0, out_box_columns = 0;  // out_box_columns: where out is not f32
  int depth = 0;                                            // elements of k in a stage
};
// instance: of HopperVariant. In hopper_product_<type>.cu.
HopperKernel hopper_kernel_f16(int instance, bool gated);
HopperKernel hopper_kernel_bf16(int instance, bool gated);
HopperKernel hopper_kernel_f32(int instance, bool gated);

}  // namespace tempera::cuda
