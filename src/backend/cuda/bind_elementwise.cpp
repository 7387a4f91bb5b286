// Rows whose kernels compute or move elements one by one (kernels/elementwise.cu, kernels/movement.cu). Shapes become
// counts, strides and bytes of a row here. Kernels that only move data do not depend on types.
#include <algorithm>

#include "backend/cuda/rows.h"
#include "backend/cuda/table.h"

namespace tempera::cuda {

Enqueue bind_activate(Machine&, const Problem& p, const Binding& b) {
  return [kind = std::get<Activate>(p.op).kind, x = input(p, b, 0), out = output(p, b),
          n = p.output.shape.elements()](cudaStream_t stream) { activate(kind, x, out, n, stream); };
}

Enqueue bind_add(Machine&, const Problem& p, const Binding& b) {
  AddArgs args{input(p, b, 0), input(p, b, 1), output(p, b), {1, 1, 1, 1}, {}};
  // Shapes of lower rank are padded with ones in front.
  const Shape &to = p.output.shape, &from = p.inputs[1].shape;
  int64_t stride = 1;
  for (int d = 3, i = to.rank() - 1; i >= 0; --d, --i) {
    args.shape[d] = to[i];
    args.strides[d] = from[i] == 1 ? 0 : stride;
    stride *= from[i];
  }
  return [args](cudaStream_t stream) { add(args, stream); };
}

Enqueue bind_scale(Machine&, const Problem& p, const Binding& b) {
  const auto& op = std::get<Scale>(p.op);
  if (op.factor.size() > 1) {
    static_assert(ChannelScales::kMost == kCudaScaleChannels);
    ChannelScales scales{static_cast<int>(op.factor.size()), {}, {}};
    std::ranges::copy(op.factor, scales.factor);
    std::ranges::copy(op.offset, scales.offset);
    return [scales, x = input(p, b, 0), out = output(p, b), n = p.output.shape.elements()](cudaStream_t stream) {
      scale(scales, x, out, n, stream);
    };
  }
  return [factor = op.factor[0], offset = op.offset[0], x = input(p, b, 0), out = output(p, b),
          n = p.output.shape.elements()](cudaStream_t stream) { scale(factor, offset, x, out, n, stream); };
}

Enqueue bind_cast(Machine&, const Problem& p, const Binding& b) {
  return [x = input(p, b, 0), out = output(p, b), n = p.output.shape.elements()](cudaStream_t stream) {
    cast(x, out, n, stream);
  };
}

Enqueue bind_gelu_gate(Machine&, const Problem& p, const Binding& b) {
  return [x = input(p, b, 0), out = output(p, b), rows = p.output.shape.rows(),
          width = p.output.shape[-1]](cudaStream_t stream) { gelu_gate(x, {}, out, rows, width, stream); };
}

namespace {

int64_t row_bytes(const TensorDesc& desc) {
  return desc.shape[-1] * static_cast<int64_t>(size_of(desc.dtype));
}

}  // namespace

Enqueue bind_concat(Machine&, const Problem& p, const Binding& b) {
  return [=, rows = p.output.shape.rows(), left = row_bytes(p.inputs[0]), right = row_bytes(p.inputs[1])](
             cudaStream_t stream) { concat(b.inputs[0], b.inputs[1], b.output, rows, left, right, stream); };
}

Enqueue bind_upsample2x(Machine&, const Problem& p, const Binding& b) {
  return [b, from = p.inputs[0].shape, to = p.output.shape, pixel = row_bytes(p.output)](cudaStream_t stream) {
    upsample2x(b.inputs[0], b.output, to[0], from[1], from[2], to[1], to[2], pixel, stream);
  };
}

// The host checks ids when it makes them. The kernel clamps them, so that it never reads outside the table.
Enqueue bind_embed(Machine&, const Problem& p, const Binding& b) {
  const int64_t extra = std::get<Embed>(p.op).extra ? p.inputs[2].shape[0] : 0;
  return [b, extra, rows = p.inputs[0].shape.elements(), row = row_bytes(p.output),
          in_table = p.inputs[1].shape[0]](cudaStream_t stream) {
    const auto* ids = reinterpret_cast<const int32_t*>(b.inputs[0]);
    if (extra == 0) return gather(b.inputs[1], ids, b.output, rows, row, 0, in_table, stream);
    gather_of_two(b.inputs[1], b.inputs[2], ids, b.output, rows, row, in_table, in_table + extra, stream);
  };
}

Enqueue bind_branch_rows(Machine&, const Problem& p, const Binding& b) {
  const int64_t rows = p.inputs[0].shape[0], row = static_cast<int64_t>(p.inputs[0].bytes()) / rows;
  return [b, rows, row, guided = std::get<BranchRows>(p.op).guided](cudaStream_t stream) {
    branch_rows(b.inputs[0], b.output, rows, row, guided, stream);
  };
}

Enqueue bind_gather_row(Machine&, const Problem& p, const Binding& b) {
  return [b, rows = p.output.shape[0], row = row_bytes(p.output), tokens = p.inputs[0].shape[1]](cudaStream_t stream) {
    gather(b.inputs[0], reinterpret_cast<const int32_t*>(b.inputs[1]), b.output, rows, row, tokens, tokens, stream);
  };
}

}  // namespace tempera::cuda
