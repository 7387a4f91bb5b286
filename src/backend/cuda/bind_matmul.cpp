// Products and convolutions by NVIDIA's libraries, followed by a kernel for the operations that they cannot fuse, or by
// tempera's own kernels for Hopper, whichever is faster. Biases have the output's type, as fused epilogues need.
#include <string>
#include <utility>
#include <vector>

#include "backend/cuda/kernels/hopper_product.h"
#include "backend/cuda/rows.h"
#include "backend/cuda/table.h"
#include "backend/cuda/weights.h"
#include "base/error.h"

namespace tempera::cuda {
namespace {

// The operations after the product, for `from` in the output's type.
EpilogueArgs rest_of(const HopperProductSpec& s, const HopperProductArgs& args) {
  EpilogueArgs rest{{args.out, s.to}, {args.bias, s.to}, {args.residual, s.to}, {args.out, s.to}};
  rest.rows = s.m;
  rest.columns = s.n;
  rest.activation = s.activation;
  return rest;
}

// By cuBLASLt. If an activation is between bias and residual, cuBLASLt writes the product and a kernel does the rest.
// If x has a tail (then there is no activation), a second product adds to the first result, in the output's type.
Enqueue library_product(Machine& machine, const HopperProductSpec& s, const HopperProductArgs& args, void* workspace) {
  const bool fused = s.activation == Activation::none;
  TEMPERA_ASSERT(fused || s.tail == 0);
  ProductSpec spec;
  spec.m = s.m, spec.n = s.n, spec.k = s.k - s.tail;
  spec.x_stride = s.x_stride, spec.w_stride = s.k, spec.out_stride = s.out_stride;
  spec.type = s.type, spec.to = s.to;
  spec.bias = fused && s.bias;
  spec.residual = fused && s.residual;
  Enqueue product =
      machine.products.bind(spec, {args.x, args.w, args.bias, args.residual, args.out, workspace}, machine.stream);
  if (s.tail > 0) {
    const auto* w = static_cast<const std::byte*>(args.w) + static_cast<size_t>(spec.k) * size_of(s.type);
    spec.k = spec.x_stride = s.tail;
    spec.bias = false, spec.residual = true;
    Enqueue rest = machine.products.bind(spec, {args.tail, w, nullptr, args.out, args.out, workspace}, machine.stream);
    return [product = std::move(product), rest = std::move(rest)](cudaStream_t stream) {
      product(stream);
      rest(stream);
    };
  }
  if (fused) return product;
  return [product = std::move(product), rest = rest_of(s, args)](cudaStream_t stream) {
    product(stream);
    epilogue(rest, stream);
  };
}

// By tempera's kernels, with a candidate for each that can run the problem.
void add_hopper(const Machine& machine, const HopperProductSpec& spec, const HopperProductArgs& args,
                std::vector<Candidate>& candidates) {
  if (!machine.hopper) return;
  for (const HopperVariant& variant : hopper_variants())
    candidates.push_back({name_of(variant), [&variant, spec, args]() -> Enqueue {
                            if (!hopper_can_run(variant, spec)) return {};
                            return [product = HopperProduct(variant, spec, args)](cudaStream_t stream) {
                              product.launch(stream);
                            };
                          }});
}

// The choice is kept for this version of cuBLASLt, because another version may be faster.
TuningKey key_of(const Machine& machine, const HopperProductSpec& s) {
  return {machine.products.library(),
          fmt::format("linear {}x{}x{} {}->{}{}{}{}{}{}", s.m, s.n, s.k, name(s.type), name(s.to),
                      s.bias ? " bias" : "", s.residual ? " residual" : "", s.gated ? " gated" : "",
                      s.activation == Activation::none ? "" : " activation",
                      s.tail == 0 ? "" : fmt::format(" tail {}", s.tail))};
}

// act(x w^T + bias) + residual with x (rows, k) and w (columns, k), or what `gated` makes of it.
HopperProductSpec spec_of(const Problem& p, bool bias) {
  HopperProductSpec spec;
  spec.m = p.output.shape.rows();
  spec.n = spec.out_stride = p.output.shape[-1];
  spec.k = p.inputs[1].shape[1];
  spec.x_stride = p.inputs[0].shape[-1];
  spec.tail = spec.k - spec.x_stride;
  spec.type = p.inputs[0].dtype;
  spec.to = p.output.dtype;
  spec.bias = bias;
  return spec;
}

// tail: of x, or null.
Enqueue bind_product(Machine& machine, const Problem& p, const Binding& b, bool bias, Activation activation,
                     bool residual, const void* tail) {
  HopperProductSpec spec = spec_of(p, bias);
  spec.activation = activation;
  spec.residual = residual;
  const HopperProductArgs args{
      b.inputs[0], tail, b.inputs[1], bias ? b.inputs[2] : nullptr, residual ? b.inputs.back() : nullptr, b.output};
  std::vector<Candidate> candidates{{"cuBLASLt", [&] { return library_product(machine, spec, args, b.workspace); }}};
  add_hopper(machine, spec, args, candidates);
  return fastest(machine.tuning, key_of(machine, spec), candidates, machine.stream);
}

}  // namespace

Enqueue bind_linear(Machine& machine, const Problem& p, const Binding& b) {
  const auto& op = std::get<Linear>(p.op);
  return bind_product(machine, p, b, op.bias, op.activation, op.residual, nullptr);
}

Enqueue bind_conv2d_pointwise(Machine& machine, const Problem& p, const Binding& b) {
  const auto& op = std::get<Conv2d>(p.op);
  const void* tail = op.tail ? b.inputs[tail_input(op)] : nullptr;
  return bind_product(machine, p, b, op.bias, op.activation, op.residual, tail);
}

Enqueue bind_geglu_linear_hopper(Machine& machine, const Problem& p, const Binding& b) {
  const bool bias = std::get<GegluLinear>(p.op).bias;
  HopperProductSpec spec = spec_of(p, bias);
  spec.gated = true;
  std::vector<Candidate> candidates;
  const HopperProductArgs args{b.inputs[0], nullptr, b.inputs[1], bias ? b.inputs[2] : nullptr, nullptr, b.output};
  add_hopper(machine, spec, args, candidates);
  return fastest(machine.tuning, key_of(machine, spec), candidates, machine.stream);
}

// Both halves by one product into scratch memory, then bias and gate in one pass.
Enqueue bind_geglu_linear(Machine& machine, const Problem& p, const Binding& b) {
  const int64_t rows = p.output.shape.rows(), width = p.output.shape[-1];
  const DType type = p.output.dtype;
  ProductSpec spec;
  spec.m = rows;
  spec.n = spec.out_stride = 2 * width;
  spec.k = spec.x_stride = spec.w_stride = p.inputs[0].shape[-1];
  spec.type = spec.to = type;
  ProductArgs args;
  args.x = b.inputs[0];
  args.w = b.inputs[1];
  args.out = b.workspace + kCudaLibraryWorkspace;
  args.workspace = b.workspace;
  const In both{args.out, type}, bias{std::get<GegluLinear>(p.op).bias ? b.inputs[2] : nullptr, type};
  return [product = machine.products.bind(spec, args, machine.stream), both, bias, out = output(p, b), rows,
          width](cudaStream_t stream) {
    product(stream);
    gelu_gate(both, bias, out, rows, width, stream);
  };
}

namespace {

ConvArgs conv_args(const Problem& p, const Binding& b) {
  const auto& op = std::get<Conv2d>(p.op);
  const Shape &x = p.inputs[0].shape, &y = p.output.shape;
  ConvArgs args{};
  args.x = input(p, b, 0);
  args.weights = input(p, b, 1);
  if (op.bias) args.bias = {b.inputs[2], p.output.dtype};
  if (op.residual) args.residual = {b.inputs.back(), p.output.dtype};
  args.out = output(p, b);
  args.pictures = static_cast<int>(x[0]);
  args.height = static_cast<int>(x[1]);
  args.width = static_cast<int>(x[2]);
  args.in = static_cast<int>(x[3]);
  args.out_height = static_cast<int>(y[1]);
  args.out_width = static_cast<int>(y[2]);
  args.out_channels = static_cast<int>(y[3]);
  const CudaWindow window = cuda_window(op);
  args.kernel = window.kernel;
  args.stride = op.stride;
  args.pad = window.pad;
  args.activation = op.activation;
  return args;
}

}  // namespace

Enqueue bind_conv2d_few_outputs(Machine&, const Problem& p, const Binding& b) {
  return [args = conv_args(p, b)](cudaStream_t stream) { conv_few_outputs(args, stream); };
}

Enqueue bind_conv2d_few_inputs(Machine&, const Problem& p, const Binding& b) {
  return [args = conv_args(p, b)](cudaStream_t stream) { conv_few_inputs(args, stream); };
}

Enqueue bind_conv2d_direct(Machine&, const Problem& p, const Binding& b) {
  return [args = conv_args(p, b)](cudaStream_t stream) { conv_direct(args, stream); };
}

// In this order: bias and residual in the convolution, if cuDNN has an engine for that; the convolution alone and a
// kernel for the rest; for combinations of types that cuDNN does not support, the kernel for all types.
Enqueue bind_conv2d_cudnn(Machine& machine, const Problem& p, const Binding& b) {
  const auto& op = std::get<Conv2d>(p.op);
  const Shape &x = p.inputs[0].shape, &y = p.output.shape;
  const DType to = p.output.dtype;
  const CudaWindow window = cuda_window(op);
  ConvolutionSpec spec{x[0], x[1], x[2], x[3], y[1], y[2], y[3], window.kernel, op.stride, window.pad};
  spec.type = p.inputs[0].dtype;
  spec.to = to;
  ConvolutionArgs args;
  args.x = b.inputs[0];
  args.w = b.inputs[1];
  if (op.bias) args.bias = b.inputs[2];
  if (op.residual) args.residual = b.inputs.back();
  args.out = b.output;
  args.workspace = b.workspace;
  if (op.activation == Activation::none && (op.bias || op.residual)) {
    spec.bias = op.bias;
    spec.residual = op.residual;
    if (Enqueue fused = machine.cudnn.convolution(spec, args, machine.stream)) return fused;
    spec.bias = spec.residual = false;
  }
  Enqueue plain = machine.cudnn.convolution(spec, args, machine.stream);
  if (!plain) return bind_conv2d_direct(machine, p, b);
  EpilogueArgs rest{{b.output, to}, {args.bias, to}, {args.residual, to}, {b.output, to}};
  rest.rows = y.rows();
  rest.columns = y[3];
  rest.activation = op.activation;
  if (!op.bias && !op.residual && op.activation == Activation::none) return plain;
  return [plain = std::move(plain), rest](cudaStream_t stream) {
    plain(stream);
    epilogue(rest, stream);
  };
}

}  // namespace tempera::cuda
