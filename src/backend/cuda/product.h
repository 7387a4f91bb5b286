// Matrix products by cuBLASLt, row-major: out = alpha x w^T + bias + residual.
#pragma once

#include "backend/cuda/enqueue.h"
#include "backend/cuda/libraries.h"
#include "backend/cuda/tuning.h"
#include "base/dtype.h"

namespace tempera::cuda {

// x is (m, k), w is (n, k), or (k, n) with w_plain, out and residual are (m, n); sums are made in f32, with f32
// operands in full f32 (no TF32). Strides are in elements, from row to row and from one product of a batch to the next.
struct ProductSpec {
  int64_t m = 0, n = 0, k = 0;
  DType type = DType::f32, to = DType::f32;  // of x and w; of out, residual and bias
  bool w_plain = false, bias = false, residual = false;
  float alpha = 1;
  int64_t x_stride = 0, w_stride = 0, out_stride = 0;
  int batches = 1;
  int64_t x_batch = 0, w_batch = 0, out_batch = 0;
};

struct ProductArgs {
  const void *x = nullptr, *w = nullptr, *bias = nullptr, *residual = nullptr;
  void *out = nullptr, *workspace = nullptr;  // kCudaLibraryWorkspace bytes
};

class Products {
 public:
  explicit Products(Tuning& tuning);
  ~Products();
  Products(const Products&) = delete;
  Products& operator=(const Products&) = delete;

  // Chooses an algorithm. If the choice is not known, candidates are timed on `stream`, which overwrites outputs. The
  // object must outlive the result.
  Enqueue bind(const ProductSpec& spec, const ProductArgs& args, cudaStream_t stream);

  std::string version() const;                                     // "13.2.0"
  std::string library() const { return "cuBLASLt " + version(); }  // in keys of choices

 private:
  CublasLt library_;
  Tuning& tuning_;
  cublasLtHandle_t handle_ = nullptr;
};

}  // namespace tempera::cuda
