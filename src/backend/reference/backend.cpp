// The table of the reference backend.
#include "backend/host_backend.h"
#include "backend/reference/kernels.h"
#include "backend/reference/reference.h"
#include "base/error.h"
#include "base/parallel.h"

namespace tempera {
namespace {

bool is_float(DType dtype) {
  return dtype == DType::f32 || dtype == DType::f16 || dtype == DType::bf16;
}

std::optional<std::string> refuse(const Problem& p) {
  const OpKind kind = kind_of(p.op);
  const size_t ids = kind == OpKind::embed ? 0 : kind == OpKind::gather_row ? 1 : p.inputs.size();
  for (size_t i = 0; i < p.inputs.size(); ++i)
    if (i != ids && !is_float(p.inputs[i].dtype)) return "needs f32, f16 or bf16 inputs";
  if (kind != OpKind::to_rgb8 && !is_float(p.output.dtype)) return "needs an f32, f16 or bf16 output";
  if (const auto* update = std::get_if<SamplerUpdate>(&p.op); update && update->slots > reference::kMaxSlots)
    return fmt::format("holds at most {} slots", reference::kMaxSlots);
  return std::nullopt;
}

using Run = void (*)(const Problem&, const Binding&);

enum class InPlace : uint8_t { no, yes };

Kernel row(std::string_view name, OpKind op, Numerics numerics, InPlace in_place,
           std::function<Launch(const Problem&, const Binding&)> bind) {
  Kernel kernel;
  kernel.info.name = name;
  kernel.info.op = op;
  kernel.info.numerics = numerics;
  kernel.info.tolerance_f32 = 0;
  kernel.info.tolerance_half = 0;
  kernel.info.in_place = in_place == InPlace::yes;
  kernel.info.refuse = refuse;
  kernel.bind = std::move(bind);
  return kernel;
}

Kernel row(std::string_view name, OpKind op, Numerics numerics, InPlace in_place, Run run) {
  return row(name, op, numerics, in_place,
             [run](const Problem& p, const Binding& b) -> Launch { return [run, p, b](Queue&) { run(p, b); }; });
}

std::vector<Kernel> table() {
  using enum Numerics;
  constexpr auto kNo = InPlace::no, kYes = InPlace::yes;
  return {
      row("conv2d/reference", OpKind::conv2d, rounding, kNo, reference::bind_conv2d),
      row("linear/reference", OpKind::linear, rounding, kNo, reference::bind_linear),
      row("geglu_linear/reference", OpKind::geglu_linear, rounding, kNo, reference::bind_geglu_linear),
      row("gelu_gate/reference", OpKind::gelu_gate, rounding, kNo, reference::gelu_gate),
      row("group_norm/reference", OpKind::group_norm, rounding, kYes, reference::group_norm),
      row("layer_norm/reference", OpKind::layer_norm, rounding, kYes, reference::layer_norm),
      row("attention/reference", OpKind::attention, rounding, kNo, reference::bind_attention),
      row("activate/reference", OpKind::activate, rounding, kYes, reference::activate),
      row("add/reference", OpKind::add, rounding, kYes, reference::add),
      row("scale/reference", OpKind::scale, rounding, kYes, reference::scale),
      row("concat/reference", OpKind::concat, bitwise, kNo, reference::concat),
      row("upsample2x/reference", OpKind::upsample2x, bitwise, kNo, reference::upsample2x),
      row("embed/reference", OpKind::embed, bitwise, kNo, reference::embed),
      row("gather_row/reference", OpKind::gather_row, bitwise, kNo, reference::gather_row),
      row("timestep_embedding/reference", OpKind::timestep_embedding, rounding, kNo, reference::timestep_embedding),
      row("cast/reference", OpKind::cast, rounding, kYes, reference::cast),
      row("branch_rows/reference", OpKind::branch_rows, bitwise, kNo, reference::branch_rows),
      row("model_input/reference", OpKind::model_input, rounding, kNo, reference::model_input),
      row("guidance/reference", OpKind::guidance, rounding, kNo, reference::guidance),
      row("threshold_sample/reference", OpKind::threshold_sample, rounding, kYes, reference::threshold_sample),
      row("sampler_update/reference", OpKind::sampler_update, rounding, kYes, reference::sampler_update),
      row("blend_mask/reference", OpKind::blend_mask, rounding, kYes, reference::blend_mask),
      row("to_rgb8/reference", OpKind::to_rgb8, rounding, kNo, reference::to_rgb8),
  };
}

class ReferenceBackend final : public HostBackend {
 public:
  ReferenceBackend() : kernels_(table()) {
    target_.name = "reference";
    target_.host_memory = true;
    for (const Kernel& kernel : kernels_) target_.kernels.push_back(&kernel.info);
  }

  std::string description() const override { return fmt::format("reference: {} threads, plain loops", thread_count()); }
  std::span<const Kernel> kernels() const override { return kernels_; }
  const Target& target() const override { return target_; }

 private:
  std::vector<Kernel> kernels_;
  Target target_;
};

}  // namespace

std::unique_ptr<Backend> make_reference_backend() {
  return std::make_unique<ReferenceBackend>();
}

}  // namespace tempera
