// conv2d by oneDNN's direct convolution on NHWC images. Weights are in oneDNN's layout, and the whole epilogue is
// fused.
#include <algorithm>

#include "backend/cpu/onednn/rows.h"
#include "backend/cpu/onednn/weights.h"

namespace tempera::onednn {
namespace {

// One convolution. If x has a tail, a second convolution adds the tail's products to the first result. Nothing is
// rounded in between, since the result is f32.
std::vector<ConvSpec> conv_specs(const Problem& p) {
  const auto& op = std::get<Conv2d>(p.op);
  const Shape &x = p.inputs[0].shape, &w = p.inputs[1].shape;
  const ConvSpec first{.batch = x[0],
                       .height = x[1],
                       .width = x[2],
                       .channels = x[3],
                       .out = w[0],
                       .kernel = op.kernel,
                       .stride = op.stride,
                       .pad_top = op.pad_before,
                       .pad_bottom = op.pad_after,
                       .pad_left = op.pad_before,
                       .pad_right = op.pad_after,
                       .dtype = p.inputs[0].dtype,
                       .to = p.output.dtype,
                       .bias = op.bias,
                       .activation = op.activation,
                       .operand = op.residual ? Operand::add : Operand::none};
  if (!op.tail) return {first};
  ConvSpec second = first;
  second.channels = w[1] - x[3];
  second.bias = false;
  second.operand = Operand::accumulate;
  return {first, second};
}

Launch bind_conv2d(Library& library, const Problem& p, const Binding& at) {
  const auto& op = std::get<Conv2d>(p.op);
  const std::vector<ConvSpec> specs = conv_specs(p);
  const auto plan = library.plan(specs[0]);
  const auto call = std::make_shared<Call>(library, plan,
                                           CallArgs{at.inputs[0], at.inputs[1], op.bias ? at.inputs[2] : nullptr,
                                                    op.residual ? at.inputs.back() : nullptr, at.output, at.workspace});
  if (!op.tail) return [call](Queue&) { call->run(); };
  const auto rest = std::make_shared<Call>(library, library.plan(specs[1]),
                                           CallArgs{at.inputs[tail_input(op)], at.inputs[1] + plan->layout.bytes(),
                                                    nullptr, nullptr, at.output, at.workspace});
  return [call, rest](Queue&) {
    call->run();
    rest->run();
  };
}

std::optional<std::string> refuse_conv2d(Library& library, const Problem& p) {
  if (std::get<Conv2d>(p.op).tail && p.output.dtype != DType::f32) return "adds up two parts of x in f32 only";
  return refuse_plan(p, [&] {
    for (const ConvSpec& spec : conv_specs(p)) (void)library.plan(spec);
  });
}

size_t conv2d_workspace(Library& library, const Problem& p) {
  size_t scratch = 0;
  for (const ConvSpec& spec : conv_specs(p)) scratch = std::max(scratch, library.plan(spec)->scratch);
  return scratch;
}

// If there are two convolutions: the first one's weights, then the second one's.
KernelInfo::Packed packed_conv2d(Library& library, const Problem& p, int input) {
  KernelInfo::Packed packed{0, ""};
  for (const ConvSpec& spec : conv_specs(p)) {
    KernelInfo::Packed one = packed_weight(p, input, library.plan(spec)->layout, 1);
    if (input != 1) return one;
    packed.bytes += one.bytes;
    packed.layout += (packed.layout.empty() ? "" : " and ") + one.layout;
  }
  return packed;
}

void pack_conv2d(Library& library, const Problem& p, int input, std::span<const WeightPart> parts, std::byte* to) {
  const std::vector<ConvSpec> specs = conv_specs(p);
  if (input != 1 || specs.size() == 1) return pack_input(p, input, parts, library.plan(specs[0])->layout, 1, to);
  const Shape& w = p.inputs[1].shape;
  int64_t skip = 0;
  for (const ConvSpec& spec : specs) {
    const auto plan = library.plan(spec);
    const WeightLayout& layout = plan->layout;
    pack_weight(layout, WeightRows(parts, w[0], w[1], skip), 0, to);
    skip += spec.channels;
    to += layout.bytes();
  }
}

}  // namespace

void add_conv2d_kernels(std::vector<Kernel>& table, const std::shared_ptr<Library>& library) {
  KernelInfo info = kernel_info("conv2d/onednn", OpKind::conv2d);
  info.tolerance_f32 = 1e-5;
  info.tolerance_half = 6e-3;
  info.overhead = kGeneratedCode;
  info.refuse = [library](const Problem& p) { return refuse_conv2d(*library, p); };
  info.workspace = [library](const Problem& p) { return conv2d_workspace(*library, p); };
  info.packed = [library](const Problem& p, int input) { return packed_conv2d(*library, p, input); };
  table.push_back({info, [library](const Problem& p, const Binding& at) { return bind_conv2d(*library, p, at); },
                   [library](const Problem& p, int input, std::span<const WeightPart> parts, std::byte* to) {
                     pack_conv2d(*library, p, input, parts, to);
                   }});
}

}  // namespace tempera::onednn
