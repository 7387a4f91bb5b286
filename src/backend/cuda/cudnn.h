// Convolutions by cuDNN.
#pragma once

#include "backend/cuda/enqueue.h"
#include "backend/cuda/libraries.h"
#include "backend/cuda/tuning.h"
#include "base/dtype.h"

namespace tempera::cuda {

// out = conv(x, w) [+ residual] [+ bias] of NHWC pictures and weights (O, k, k, I), sums in f32; bias and residual are
// in the output's type.
struct ConvolutionSpec {
  int64_t pictures = 1, height = 1, width = 1, in = 1, out_height = 1, out_width = 1, out = 1;
  int64_t kernel = 3, stride = 1, pad = 1;
  DType type = DType::f32, to = DType::f32;  // of x and w; of out
  bool bias = false, residual = false;
};

struct ConvolutionArgs {
  const void *x = nullptr, *w = nullptr, *bias = nullptr, *residual = nullptr;
  void *out = nullptr, *workspace = nullptr;  // kCudaLibraryWorkspace bytes
};

class CudnnOps {
 public:
  explicit CudnnOps(Tuning& tuning);
  ~CudnnOps();
  CudnnOps(const CudnnOps&) = delete;
  CudnnOps& operator=(const CudnnOps&) = delete;

  // As Products::bind. Nothing when cuDNN has no deterministic engine for this within the workspace.
  Enqueue convolution(const ConvolutionSpec& spec, const ConvolutionArgs& args, cudaStream_t stream);

  std::string version() const;

 private:
  Cudnn library_;
  Tuning& tuning_;
  cudnnHandle_t handle_ = nullptr;
};

}  // namespace tempera::cuda
