#include "backend/cuda/table.h"

#include <utility>
#include <vector>

#include "backend/cuda/kernels/group_norm_plan.h"
#include "backend/cuda/row_list.h"
#include "backend/cuda/score_plan.h"
#include "backend/cuda/weights.h"
#include "base/error.h"

namespace tempera {
namespace {

using Refusal = std::optional<std::string>;

Refusal any_float(const Problem& p) {
  const DType type = p.output.dtype;
  if (type == DType::f32 || type == DType::f16 || type == DType::bf16) return std::nullopt;
  return "computes f32, f16 and bf16";
}

// Operands of one type, and a result of the same or a wider type: the products of NVIDIA's libraries.
Refusal refuse_product(const Problem& p) {
  if (p.inputs[0].dtype != p.inputs[1].dtype) return "takes operands of one type only";
  if (p.output.dtype != p.inputs[0].dtype && p.output.dtype != DType::f32)
    return "writes its operands' type or f32 only";
  return any_float(p);
}

// Tensor copies need multiples of eight halves.
Refusal refuse_hopper(const Problem& p) {
  if (p.inputs[0].shape[-1] % 8 != 0 || p.output.shape[-1] % 8 != 0) return "needs channels divisible by 8";
  return refuse_product(p);
}

// A 1 x 1 convolution is a matrix product over pixels.
Refusal refuse_pointwise(const Problem& p) {
  if (!is_pointwise(std::get<Conv2d>(p.op))) return "needs a kernel of one pixel";
  return refuse_product(p);
}

// All convolutions but the matrix products read one tensor.
Refusal refuse_tail(const Problem& p) {
  if (std::get<Conv2d>(p.op).tail) return "reads x in one part";
  return any_float(p);
}

// Tensor cores read channels eight at a time.
Refusal refuse_cudnn(const Problem& p) {
  if (p.inputs[0].shape[3] % 8 != 0 || p.output.shape[3] % 8 != 0) return "needs channels divisible by 8";
  if (Refusal tail = refuse_tail(p)) return tail;
  return refuse_product(p);
}

// The narrow side is in registers, the wide one is read in eights.
Refusal refuse_few_outputs(const Problem& p) {
  if (std::get<Conv2d>(p.op).activation != Activation::none) return "computes no activation";
  if (p.output.shape[3] > kCudaNarrow) return fmt::format("computes at most {} channels", kCudaNarrow);
  if (p.inputs[0].shape[3] % 8 != 0) return "needs input channels divisible by 8";
  if (p.inputs[0].dtype != p.inputs[1].dtype) return "takes operands of one type only";
  return refuse_tail(p);
}
Refusal refuse_few_inputs(const Problem& p) {
  const auto& op = std::get<Conv2d>(p.op);
  if (p.inputs[0].shape[3] > kCudaFewInputs) return fmt::format("reads at most {} channels", kCudaFewInputs);
  if (p.output.shape[3] % 8 != 0) return "needs output channels divisible by 8";
  if (op.kernel != 3 || op.stride != 1 || op.pad_before != op.pad_after)
    return "needs a kernel of 3 x 3 pixels, stride 1, and the same padding on both sides";
  if (op.activation != Activation::none) return "computes no activation";
  if (p.inputs[0].dtype != p.inputs[1].dtype) return "takes operands of one type only";
  return any_float(p);
}

// Half precision, head sizes that fit registers.
Refusal refuse_flash(const Problem& p) {
  const auto& op = std::get<Attention>(p.op);
  const int64_t head = p.output.shape[2] / op.heads;
  if (p.output.dtype == DType::f32) return "needs f16 or bf16";
  if (head % 8 != 0 || head > 128) return "needs heads of at most 128 channels, divisible by 8";
  return std::nullopt;
}

// The types of inputs and parameters of norms.
Refusal refuse_norm(const Problem& p) {
  if (p.inputs[1].dtype != DType::f32 || p.inputs[2].dtype != DType::f32) return "takes gamma and beta in f32 only";
  return any_float(p);
}
Refusal refuse_group_norm(const Problem& p) {
  if (p.output.shape[3] > cuda::kGroupNormChannels)
    return fmt::format("takes at most {} channels", cuda::kGroupNormChannels);
  return refuse_norm(p);
}

Refusal refuse_update(const Problem& p) {
  if (std::get<SamplerUpdate>(p.op).slots > kCudaSamplerSlots)
    return fmt::format("holds at most {} slots", kCudaSamplerSlots);
  return std::nullopt;
}

Refusal refuse_scale(const Problem& p) {
  if (std::cmp_greater(std::get<Scale>(p.op).factor.size(), kCudaScaleChannels))
    return fmt::format("holds at most {} factors", kCudaScaleChannels);
  return std::nullopt;
}

size_t library_workspace(const Problem&) {
  return kCudaLibraryWorkspace;
}

// Both halves of the product before the gate.
size_t geglu_workspace(const Problem& p) {
  return kCudaLibraryWorkspace + 2 * p.output.bytes();
}

size_t group_norm_workspace(const Problem& p) {
  const Shape& x = p.output.shape;
  return cuda::group_norm_plan(x[0], x[1] * x[2], x[3], std::get<GroupNorm>(p.op).groups).scratch;
}

size_t score_workspace(const Problem& p) {
  const Shape& q = p.inputs[0].shape;
  const Shape& keys = p.inputs.size() > 1 ? p.inputs[1].shape : q;
  return cuda::score_plan(std::get<Attention>(p.op).heads, q[1], keys[1], p.output.dtype).bytes + kCudaLibraryWorkspace;
}

// A factor per guided picture, for rescaled guidance.
size_t guidance_workspace(const Problem& p) {
  const auto& op = std::get<Guidance>(p.op);
  return op.rescale ? static_cast<size_t>(op.guided) * sizeof(float) : 0;
}

// The range of each picture.
size_t threshold_workspace(const Problem& p) {
  return static_cast<size_t>(p.output.shape[0]) * sizeof(float);
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

// A row with its own form of the weights (weights.h).
KernelInfo weighted(KernelInfo info, double tolerance_f32 = 1e-5) {
  info.packed = cuda_packed;
  info.tolerance_f32 = tolerance_f32;
  return info;
}

// TF32 rounds operands to 10 bits.
constexpr double kTf32 = 2e-3;

constexpr Numerics kMoves = Numerics::bitwise, kRounds = Numerics::rounding, kSums = Numerics::approximate;

std::vector<KernelInfo> make_rows() {
#define TEMPERA_DESCRIPTION(bind, description) description,
  return {TEMPERA_CUDA_ROWS(TEMPERA_DESCRIPTION)};
#undef TEMPERA_DESCRIPTION
}

}  // namespace

const Target& cuda_target() {
  static const std::vector<KernelInfo> rows = make_rows();
  static const Target target = [] {
    Target t;
    t.name = "cuda";
    t.batches_pictures = true;
    for (const KernelInfo& info : rows) t.kernels.push_back(&info);
    t.alignment = 256;  // cudaMalloc's alignment, which vectorised kernels need
    // Code that the driver loads at a kernel's first launch, blocks of the driver and of the libraries, recordings, and
    // for streamed parameters their stream and pieces of the region. Measured (docs/MEMORY.md).
    t.overhead = size_t{16} << 20;
    t.overhead_step = size_t{4} << 10;
    t.stream_overhead = size_t{16} << 20;
    t.stream_share = 2;
    return t;
  }();
  return target;
}

}  // namespace tempera
