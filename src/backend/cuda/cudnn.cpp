#include "backend/cuda/cudnn.h"

#include <cstdlib>
#include <string_view>

#include "backend/cuda/cudnn_graph.h"
#include "base/error.h"

namespace tempera::cuda {
namespace {

using Place = GraphTensor::Place;

// N, C, H, W with the strides of NHWC.
GraphTensor nhwc(int64_t id, DType type, int64_t n, int64_t c, int64_t h, int64_t w) {
  return {id, type, {n, c, h, w}, {c * h * w, 1, c * w, c}};
}

GraphTensor in_registers(GraphTensor tensor, int64_t id, DType type = DType::f32) {
  tensor.id = id;
  tensor.type = type;
  tensor.place = Place::registers;
  return tensor;
}

// NVIDIA_TF32_OVERRIDE=0 asks all of NVIDIA's libraries for full f32.
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
  // What stands between the convolution and the output exists in registers only, in f32.
  const Descriptor& product = s.bias || s.residual ? graph.tensor(in_registers(image, kSum)) : out;
  graph.convolution({s.stride, s.pad}, x, w, product);
  const Descriptor& summed = !s.residual ? product : s.bias ? graph.tensor(in_registers(image, kBiased)) : out;
  CudnnGraph::Addresses addresses{{kX, args.x}, {kW, args.w}, {kOut, args.out}};
  if (s.residual) {
    GraphTensor residual = image;
    residual.id = kResidual;
    graph.pointwise(CUDNN_POINTWISE_ADD, product, &graph.tensor(residual), summed);
    addresses.emplace_back(kResidual, args.residual);
  }
  if (s.bias) {
    graph.pointwise(CUDNN_POINTWISE_ADD, summed, &graph.tensor(nhwc(kBias, s.to, 1, s.out, 1, 1)), out);
    addresses.emplace_back(kBias, args.bias);
  }
  const bool exact = s.type == DType::f32 && tf32_forbidden();
  const std::string key =
      fmt::format("{}x{}x{}x{} -> {}x{}x{} {}/{} pad {} {}->{}{}{}{}", s.pictures, s.height, s.width, s.in,
                  s.out_height, s.out_width, s.out, s.kernel, s.stride, s.pad, name(s.type), name(s.to),
                  s.bias ? " bias" : "", s.residual ? " residual" : "", exact ? " exact" : "");
  return graph.bind(addresses, args.workspace, exact, tuning_, key, stream);
}

// The graph that cuDNN recognises as attention: softmax spelled out between two products, nothing of it in memory.
Enqueue CudnnOps::attention(const FlashArgs& a, void* workspace, cudaStream_t stream) {
  enum Id : int64_t { kQ = 1, kK, kV, kOut, kScale, kScores, kScaled, kMax, kShifted, kExp, kSum, kWeights };
  if (a.causal) return {};
  CudnnGraph graph(library_, handle_);
  const auto heads = [&](int64_t id, int64_t tokens, int64_t stride) {
    return GraphTensor{id, a.type, {a.pictures, a.heads, tokens, a.dim}, {tokens * stride, a.dim, stride, 1}};
  };
  GraphTensor transposed_k = heads(kK, a.keys, a.kv_stride);
  std::swap(transposed_k.sizes[2], transposed_k.sizes[3]);
  std::swap(transposed_k.strides[2], transposed_k.strides[3]);
  const auto matrix = [&](int64_t id, int64_t columns, DType type = DType::f32) {
    const int64_t h = a.heads, q = a.queries;
    return in_registers({id, type, {a.pictures, h, q, columns}, {h * q * columns, q * columns, columns, 1}}, id, type);
  };
  GraphTensor one{kScale, DType::f32};
  one.place = Place::host;

  const Descriptor &scores = graph.tensor(matrix(kScores, a.keys)), &scaled = graph.tensor(matrix(kScaled, a.keys));
  const Descriptor &max = graph.tensor(matrix(kMax, 1)), &sum = graph.tensor(matrix(kSum, 1));
  const Descriptor &shifted = graph.tensor(matrix(kShifted, a.keys)), &exp = graph.tensor(matrix(kExp, a.keys));
  const Descriptor& weights = graph.tensor(matrix(kWeights, a.keys, a.type));
  graph.matmul(graph.tensor(heads(kQ, a.queries, a.q_stride)), graph.tensor(transposed_k), scores);
  graph.pointwise(CUDNN_POINTWISE_MUL, scores, &graph.tensor(one), scaled);
  graph.reduction(CUDNN_REDUCE_TENSOR_MAX, scaled, max);
  graph.pointwise(CUDNN_POINTWISE_SUB, scaled, &max, shifted);
  graph.pointwise(CUDNN_POINTWISE_EXP, shifted, nullptr, exp);
  graph.reduction(CUDNN_REDUCE_TENSOR_ADD, exp, sum);
  graph.pointwise(CUDNN_POINTWISE_DIV, exp, &sum, weights);
  graph.matmul(weights, graph.tensor(heads(kV, a.keys, a.kv_stride)),
               graph.tensor(heads(kOut, a.queries, a.out_stride)));

  const auto scale = std::make_shared<float>(a.scale);
  const std::string key = fmt::format("attention {}x{} heads {} -> {} of {}, strides {} {} {}, {}", a.pictures, a.heads,
                                      a.queries, a.keys, a.dim, a.q_stride, a.kv_stride, a.out_stride, name(a.type));
  Enqueue bound = graph.bind({{kQ, a.q}, {kK, a.k}, {kV, a.v}, {kOut, a.out}, {kScale, scale.get()}}, workspace, false,
                             tuning_, key, stream);
  if (!bound) return {};
  return [bound = std::move(bound), scale](cudaStream_t s) { bound(s); };
}

}  // namespace tempera::cuda
