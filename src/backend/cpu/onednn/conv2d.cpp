// conv2d by oneDNN's direct convolution on NHWC images, weights in the layout it picks, everything that follows fused.
#include "backend/cpu/onednn/rows.h"
#include "backend/cpu/onednn/weights.h"

namespace tempera::onednn {
namespace {

ConvSpec conv_spec(const Problem& p) {
  const auto& op = std::get<Conv2d>(p.op);
  const Shape &x = p.inputs[0].shape, &w = p.inputs[1].shape;
  return {.batch = x[0],
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
}

Launch bind_conv2d(Library& library, const Problem& p, const Binding& at) {
  const auto& op = std::get<Conv2d>(p.op);
  const auto call = std::make_shared<Call>(library, library.plan(conv_spec(p)),
                                           CallArgs{at.inputs[0], at.inputs[1], op.bias ? at.inputs[2] : nullptr,
                                                    op.residual ? at.inputs.back() : nullptr, at.output, at.workspace});
  return [call](Queue&) { call->run(); };
}

}  // namespace

void add_conv2d_kernels(std::vector<Kernel>& table, const std::shared_ptr<Library>& library) {
  KernelInfo info = kernel_info("conv2d/onednn", OpKind::conv2d);
  info.tolerance_f32 = 1e-5;
  info.tolerance_half = 6e-3;
  info.refuse = [library](const Problem& p) { return refuse_plan(p, [&] { (void)library->plan(conv_spec(p)); }); };
  info.workspace = [library](const Problem& p) { return library->plan(conv_spec(p))->scratch; };
  info.packed = [library](const Problem& p, int input) {
    return packed_weight(p, input, library->plan(conv_spec(p))->layout, 1);
  };
  table.push_back({info, [library](const Problem& p, const Binding& at) { return bind_conv2d(*library, p, at); },
                   [library](const Problem& p, int input, std::span<const WeightPart> parts, std::byte* to) {
                     pack_input(p, input, parts, library->plan(conv_spec(p))->layout, 1, to);
                   }});
}

}  // namespace tempera::onednn
