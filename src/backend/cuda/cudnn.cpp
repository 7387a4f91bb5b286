#include "backend/cuda/cudnn.h"

#include <cstdlib>
#include <string_view>

#include "backend/cuda/cudnn_graph.h"
#include "base/error.h"

namespace tempera::cuda {
namespace {

// N, C, H, W with the strides of NHWC.
GraphTensor nhwc(int64_t id, DType type, int64_t n, int64_t c, int64_t h, int64_t w) {
  return {id, type, {n, c, h, w}, {c * h * w, 1, c * w, c}};
}

GraphTensor in_registers(GraphTensor tensor, int64_t id) {
  tensor.id = id;
  tensor.type = DType::f32;
  tensor.in_registers = true;
  return tensor;
}

// With NVIDIA_TF32_OVERRIDE=0, NVIDIA's libraries compute in full f32.
bool tf32_forbidden() {
  const char* tf32 = std::getenv("NVIDIA_TF32_OVERRIDE");
  return tf32 != nullptr && std::string_view(tf32) == "0";
}

}  // namespace

CudnnOps::CudnnOps(Tuning& tuning) : tuning_(tuning) {
  library_.check(library_.cudnnCreate(&handle_), "cudnnCreate");
}

CudnnOps::~CudnnOps() {
  library_.cudnnDestroy(handle_);
}

std::string CudnnOps::version() const {
  return version_of(library_);
}

Enqueue CudnnOps::convolution(const ConvolutionSpec& s, const ConvolutionArgs& args, cudaStream_t stream) {
  enum Id : int64_t { kX = 1, kW, kBias, kResidual, kOut, kSum, kBiased };
  CudnnGraph graph(library_, handle_);
  const GraphTensor image = nhwc(kOut, s.to, s.pictures, s.out, s.out_height, s.out_width);
  const Descriptor& x = graph.tensor(nhwc(kX, s.type, s.pictures, s.in, s.height, s.width));
  const Descriptor& w = graph.tensor(nhwc(kW, s.type, s.out, s.in, s.kernel, s.kernel));
  const Descriptor& out = graph.tensor(image);
  // Values between the convolution and the output are only in registers, in f32.
  const Descriptor& product = s.bias || s.residual ? graph.tensor(in_registers(image, kSum)) : out;
  graph.convolution({s.stride, s.pad}, x, w, product);
  const Descriptor& summed = !s.residual ? product : s.bias ? graph.tensor(in_registers(image, kBiased)) : out;
  CudnnGraph::Addresses addresses{{kX, args.x}, {kW, args.w}, {kOut, args.out}};
  if (s.residual) {
    GraphTensor residual = image;
    residual.id = kResidual;
    graph.add(product, graph.tensor(residual), summed);
    addresses.emplace_back(kResidual, args.residual);
  }
  if (s.bias) {
    graph.add(summed, graph.tensor(nhwc(kBias, s.to, 1, s.out, 1, 1)), out);
    addresses.emplace_back(kBias, args.bias);
  }
  const bool exact = s.type == DType::f32 && tf32_forbidden();
  const std::string problem =
      fmt::format("convolution {}x{}x{}x{} -> {}x{}x{} {}/{} pad {} {}->{}{}{}{}", s.pictures, s.height, s.width, s.in,
                  s.out_height, s.out_width, s.out, s.kernel, s.stride, s.pad, name(s.type), name(s.to),
                  s.bias ? " bias" : "", s.residual ? " residual" : "", exact ? " exact" : "");
  return graph.bind(addresses, args.workspace, exact, tuning_, problem, stream);
}

}  // namespace tempera::cuda
