// Rows of group_norm and layer_norm: the op's optional inputs (tail, shift) are found by position here, and the kernels
// (kernels/group_norm.cu, kernels/layer_norm.cu) see pointers that may be null.
#include "backend/cuda/rows.h"

namespace tempera::cuda {

Enqueue bind_group_norm(Machine&, const Problem& p, const Binding& b) {
  const auto& op = std::get<GroupNorm>(p.op);
  const Shape& shape = p.output.shape;
  GroupNormArgs args;
  args.x = input(p, b, 0);
  if (op.tail) args.tail = input(p, b, tail_input(op));
  if (op.shift) args.shift = input(p, b, 3);
  args.gamma = reinterpret_cast<const float*>(b.inputs[1]);
  args.beta = reinterpret_cast<const float*>(b.inputs[2]);
  args.out = output(p, b);
  args.pictures = shape[0];
  args.pixels = shape[1] * shape[2];
  args.channels = static_cast<int>(shape[3]);
  args.head = static_cast<int>(p.inputs[0].shape[3]);
  args.groups = op.groups;
  args.eps = op.eps;
  args.activation = op.activation;
  args.scratch = reinterpret_cast<float*>(b.workspace);
  return [args](cudaStream_t stream) { group_norm(args, stream); };
}

Enqueue bind_layer_norm(Machine&, const Problem& p, const Binding& b) {
  return [x = input(p, b, 0), gamma = reinterpret_cast<const float*>(b.inputs[1]),
          beta = reinterpret_cast<const float*>(b.inputs[2]), out = output(p, b), rows = p.output.shape.rows(),
          channels = p.output.shape[-1], eps = std::get<LayerNorm>(p.op).eps](cudaStream_t stream) {
    layer_norm(x, gamma, beta, out, rows, channels, eps, stream);
  };
}

}  // namespace tempera::cuda
