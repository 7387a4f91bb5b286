#include "backend/cuda/table.h"

#include <vector>

namespace tempera {
namespace {

using Refusal = std::optional<std::string>;

Refusal any_float(const Problem& p) {
  const DType type = p.output.dtype;
  if (type == DType::f32 || type == DType::f16 || type == DType::bf16) return std::nullopt;
  return "computes f32, f16 and bf16";
}

// Fused attention of cuDNN: half precision, head sizes that its kernels have.
Refusal refuse_flash(const Problem& p) {
  const auto& op = std::get<Attention>(p.op);
  const int64_t head = p.output.shape[2] / op.heads;
  if (p.output.dtype == DType::f32) return "needs f16 or bf16";
  if (head % 8 != 0 || head > 128) return "needs heads of at most 128 channels, divisible by 8";
  return std::nullopt;
}

size_t library_workspace(const Problem&) {
  return kCudaLibraryWorkspace;
}

// Both halves of the product before the gate.
size_t geglu_workspace(const Problem& p) {
  return kCudaLibraryWorkspace + 2 * p.output.bytes();
}

// Sum and sum of squares per picture and group.
size_t group_norm_workspace(const Problem& p) {
  return static_cast<size_t>(p.inputs[0].shape[0]) * static_cast<size_t>(std::get<GroupNorm>(p.op).groups) * 2 *
         sizeof(float);
}

// The whole score matrix in f32, which is what "default attention" is.
size_t score_workspace(const Problem& p) {
  const auto& op = std::get<Attention>(p.op);
  const Shape& q = p.inputs[0].shape;
  const Shape& keys = p.inputs.size() > 1 ? p.inputs[1].shape : q;
  return static_cast<size_t>(q[0] * op.heads * q[1] * keys[1]) * sizeof(float) + kCudaLibraryWorkspace;
}

// Mean and deviation per picture, for rescaled guidance.
size_t guidance_workspace(const Problem& p) {
  return static_cast<size_t>(p.output.shape[0]) * 4 * sizeof(double);
}

KernelInfo row(std::string_view name, OpKind op, Numerics numerics, bool in_place,
               size_t (*workspace)(const Problem&) = nullptr, Refusal (*refuse)(const Problem&) = nullptr) {
  KernelInfo info;
  info.name = name;
  info.op = op;
  info.numerics = numerics;
  info.in_place = in_place;
  if (workspace != nullptr) info.workspace = workspace;
  if (refuse != nullptr) info.refuse = refuse;
  return info;
}

constexpr Numerics kMoves = Numerics::bitwise, kRounds = Numerics::rounding, kSums = Numerics::approximate;

std::vector<KernelInfo> make_rows() {
  return {
      row("conv2d/cudnn", OpKind::conv2d, kSums, false, library_workspace, any_float),
      row("linear/cublaslt", OpKind::linear, kSums, false, library_workspace, any_float),
      row("geglu_linear/cublaslt", OpKind::geglu_linear, kSums, false, geglu_workspace, any_float),
      row("attention/flash", OpKind::attention, kSums, false, library_workspace, refuse_flash),
      row("attention/naive", OpKind::attention, kSums, false, score_workspace, any_float),
      row("group_norm/cuda", OpKind::group_norm, kSums, true, group_norm_workspace),
      row("layer_norm/cuda", OpKind::layer_norm, kSums, true),
      row("gelu_gate/cuda", OpKind::gelu_gate, kRounds, false),
      row("activate/cuda", OpKind::activate, kRounds, true),
      row("add/cuda", OpKind::add, kRounds, true),
      row("scale/cuda", OpKind::scale, kRounds, true),
      row("concat/cuda", OpKind::concat, kMoves, false),
      row("upsample2x/cuda", OpKind::upsample2x, kMoves, false),
      row("embed/cuda", OpKind::embed, kMoves, false),
      row("gather_row/cuda", OpKind::gather_row, kMoves, false),
      row("timestep_embedding/cuda", OpKind::timestep_embedding, kRounds, false),
      row("cast/cuda", OpKind::cast, kRounds, false),
      row("model_input/cuda", OpKind::model_input, kRounds, false),
      row("guidance/cuda", OpKind::guidance, kSums, false, guidance_workspace),
      row("sampler_update/cuda", OpKind::sampler_update, kRounds, true),
      row("to_rgb8/cuda", OpKind::to_rgb8, kRounds, false),
  };
}

}  // namespace

const Target& cuda_target() {
  static const std::vector<KernelInfo> rows = make_rows();
  static const Target target = [] {
    Target t;
    t.name = "cuda";
    for (const KernelInfo& info : rows) t.kernels.push_back(&info);
    t.alignment = 256;  // what cudaMalloc gives and vectorised kernels want
    return t;
  }();
  return target;
}

}  // namespace tempera
