#include "backend/cpu/onednn/weights.h"

#include "base/error.h"

namespace tempera::onednn {

std::optional<std::string> refuse_plan(const Problem& problem, const std::function<void()>& make) {
  const DType type = problem.inputs[0].dtype, to = problem.output.dtype;
  if (type != DType::f32 && type != DType::bf16) return "computes in f32 and bf16 only";
  if (to != type && to != DType::f32) return "writes its operands' type or f32 only";
  if (problem.inputs[1].dtype != type) return "takes operands of one type only";
  const auto* conv = std::get_if<Conv2d>(&problem.op);
  const auto bias = [&](size_t i) { return i == 2 && problem.inputs[i].shape.rank() == 1; };
  const auto tail = [&](size_t i) { return conv != nullptr && conv->tail && i == tail_input(*conv); };
  for (size_t i = 2; i < problem.inputs.size(); ++i) {
    if (bias(i) && problem.inputs[i].dtype != DType::f32) return "takes biases in f32 only";
    if (!bias(i) && !tail(i) && problem.inputs[i].dtype != to) return "takes a residual of the output's type only";
  }
  try {
    make();
  } catch (const Error& e) {
    if (e.code() != ErrorCode::unavailable) throw;
    return std::string("has no plan: ") + e.what();
  }
  return std::nullopt;
}

KernelInfo::Packed packed_weight(const Problem& problem, int input, const WeightLayout& layout, int pieces) {
  if (input != 1) return {problem.inputs[static_cast<size_t>(input)].bytes(), "plain"};
  return {layout.bytes() * static_cast<size_t>(pieces),
          pieces == 1 ? layout.name : fmt::format("{} of {}", pieces, layout.name)};
}

void pack_input(const Problem& problem, int input, std::span<const WeightPart> parts, const WeightLayout& layout,
                int pieces, std::byte* destination) {
  const TensorDesc& desc = problem.inputs[static_cast<size_t>(input)];
  if (input != 1) return pack_plain(desc.dtype, parts, destination);
  const WeightRows rows(parts, desc.shape[0], layout.shape.in * layout.shape.taps());
  for (int i = 0; i < pieces; ++i)
    pack_weight(layout, rows, i * layout.shape.out, destination + static_cast<size_t>(i) * layout.bytes());
}

}  // namespace tempera::onednn
