// Linear layers on Hopper's tensor cores, with all operations after the product fused into it:
//   out (m, n) = act(x w^T + bias) + residual
//   out (m, n) = (x wv^T + bv) * gelu(x wg^T + bg)  if gated
// Types are f16, bf16 and f32. Sums are in f32, added in a fixed order and rounded once. f32 operands are used with 21
// bits, and those that are not finite give NaN. The fastest variant depends on the shape: the caller times those that
// can run and keeps one.
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
  // x is (m, k), w is (n, k), or (2 n, k) if `gated`: values before gates. k and n are multiples of 8.
  int64_t m = 0, n = 0, k = 0;
  int64_t tail = 0;                          // the last columns of x, a separate matrix (m, tail); a multiple of 8
  DType type = DType::f16, to = DType::f16;  // of x and w: f16, bf16 or f32; of out, bias and residual: the same or f32
  bool bias = false, residual = false, gated = false;  // if `gated`, neither residual nor activation
  Activation activation = Activation::none;            // none, silu, gelu, quick_gelu
  int64_t x_stride = 0, out_stride = 0;                // elements from row to row, multiples of 8; residual: as out
};

// All addresses are multiples of 16 bytes. bias has n elements, or 2 n if `gated`. out may be residual, but not x.
struct HopperProductArgs {
  const void *x = nullptr, *tail = nullptr, *w = nullptr, *bias = nullptr, *residual = nullptr;
  void* out = nullptr;
};

// How the work is divided. Two warpgroups share a tile of rows x columns, or each has its own, so that one writes while
// the other multiplies. The two blocks of a cluster share the weights of the columns.
struct HopperVariant {
  int rows, columns, cluster;
  int instance;  // in the table of kernels
};
std::span<const HopperVariant> hopper_variants();
std::string name_of(const HopperVariant& variant);  // "hopper_product 1: 128x256, clusters of 2"

// The parameters of a kernel.
struct HopperParams {
  CUtensorMap x, tail, w, residual, out;
  const void *bias, *residual_data;  // null if absent
  void* out_data;
  int64_t out_stride;
  int m, n, k_blocks;
  int x_columns, x_blocks;                    // without the tail, whose blocks are the last
  int tile_rows, tile_columns, tiles, group;  // tiles down (in clusters), across, in all; rows of a group
  bool to_f32;
  Activation activation;
};

// A product bound to addresses: launch() enqueues one kernel and may be captured into a graph.
class HopperProduct {
 public:
  // Runs on the device that is current now. Throws Error if hopper_can_run() is false or a call of the
  // driver fails.
  HopperProduct(const HopperVariant& variant, const HopperProductSpec& spec, const HopperProductArgs& args);
  void launch(cudaStream_t stream) const;

 private:
  HopperParams params_;
  const void* kernel_;
  unsigned grid_, threads_, shared_bytes_;
  int cluster_;
};

// Whether this build has the kernels. The card must have compute capability 9.0.
bool has_hopper_code();
bool hopper_can_run(const HopperVariant& variant, const HopperProductSpec& spec);

// One compiled kernel, and its sizes in shared memory.
struct HopperKernel {
  const void* function = nullptr;  // null: this variant has no such kernel
  unsigned shared_bytes = 0, threads = 0;
  int x_box_rows = 0, w_box_rows = 0, out_box_columns = 0;  // out_box_columns: if out is not f32
  int depth = 0;                                            // elements of k in a stage
};
// instance: HopperVariant::instance. Defined in hopper_product_<type>.cu.
HopperKernel hopper_kernel_f16(int instance, bool gated);
HopperKernel hopper_kernel_bf16(int instance, bool gated);
HopperKernel hopper_kernel_f32(int instance, bool gated);

}  // namespace tempera::cuda
