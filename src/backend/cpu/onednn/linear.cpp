// linear and geglu_linear by oneDNN's matmul. Weights are in oneDNN's layout, and the whole epilogue is fused.
#include "backend/cpu/onednn/rows.h"

#include <algorithm>

#include "backend/cpu/onednn/weights.h"
#include "base/error.h"

namespace tempera::onednn {
namespace {

MatmulSpec linear_spec(const Problem& p) {
  const auto& op = std::get<Linear>(p.op);
  const Shape &x = p.inputs[0].shape, &w = p.inputs[1].shape;
  return {x.rows(),       x[-1],   w[0],          p.inputs[0].dtype,
          p.output.dtype, op.bias, op.activation, op.residual ? Operand::add : Operand::none};
}

Launch bind_linear(Library& library, const Problem& p, const Binding& at) {
  const auto& op = std::get<Linear>(p.op);
  const auto call = std::make_shared<Call>(library, library.plan(linear_spec(p)),
                                           CallArgs{at.inputs[0], at.inputs[1], op.bias ? at.inputs[2] : nullptr,
                                                    op.residual ? at.inputs.back() : nullptr, at.output, at.workspace});
  return [call](Queue&) { call->run(); };
}

// The two halves of a GEGLU, a block of rows at a time: gelu(gate) into scratch memory, then the value times it. Blocks
// keep the gate small and in the cache. A remainder of rows has a second pair of plans.
struct GegluSpecs {
  int64_t rows, block;
  MatmulSpec gate, value;

  explicit GegluSpecs(const Problem& p) {
    const Shape &x = p.inputs[0].shape, &w = p.inputs[1].shape;
    rows = x.rows();
    block = std::min(rows, kBlock);
    const bool bias = std::get<GegluLinear>(p.op).bias;
    const DType type = p.output.dtype;
    gate = {block, x[-1], w[0] / 2, type, type, bias, Activation::gelu, Operand::none};
    value = {block, x[-1], w[0] / 2, type, type, bias, Activation::none, Operand::multiply};
  }
  int64_t rest() const { return rows % block; }
  static GegluSpecs of_rows(GegluSpecs s, int64_t m) {
    s.gate.m = s.value.m = m;
    return s;
  }
  size_t gate_bytes() const { return static_cast<size_t>(block * gate.n) * size_of(gate.dtype); }

  static constexpr int64_t kBlock = 1024;
};

size_t align(size_t n) {
  return (n + 63) / 64 * 64;
}

size_t geglu_scratch(Library& library, const GegluSpecs& s) {
  return std::max(library.plan(s.gate)->scratch, library.plan(s.value)->scratch);
}

size_t geglu_workspace(Library& library, const Problem& p) {
  const GegluSpecs s(p);
  size_t scratch = geglu_scratch(library, s);
  if (s.rest() > 0) scratch = std::max(scratch, geglu_scratch(library, GegluSpecs::of_rows(s, s.rest())));
  return align(s.gate_bytes()) + scratch;
}

Launch bind_geglu(Library& library, const Problem& p, const Binding& at) {
  const GegluSpecs s(p);
  const auto calls = std::make_shared<std::vector<Call>>();
  const auto half = static_cast<int64_t>(library.plan(s.gate)->layout.bytes());
  const auto size = static_cast<int64_t>(size_of(p.output.dtype));
  const std::byte* bias = s.gate.bias ? at.inputs[2] : nullptr;
  const std::byte* gate_bias = bias == nullptr ? nullptr : bias + s.gate.n * 4;
  std::byte* gate = at.workspace;
  std::byte* scratch = at.workspace + align(s.gate_bytes());
  for (int64_t row = 0; row < s.rows; row += s.block) {
    const GegluSpecs b = GegluSpecs::of_rows(s, std::min(s.block, s.rows - row));
    const std::byte* x = at.inputs[0] + row * s.gate.k * size;
    calls->emplace_back(library, library.plan(b.gate),
                        CallArgs{x, at.inputs[1] + half, gate_bias, nullptr, gate, scratch});
    calls->emplace_back(library, library.plan(b.value),
                        CallArgs{x, at.inputs[1], bias, gate, at.output + row * s.gate.n * size, scratch});
  }
  return [calls](Queue&) {
    for (Call& call : *calls) call.run();
  };
}

// Value and gate may be packed only if all four plans read the same layout.
std::optional<std::string> refuse_geglu_layouts(Library& library, const Problem& p) {
  const GegluSpecs s(p);
  const std::string layout = library.plan(s.gate)->layout.name;
  bool same = library.plan(s.value)->layout.name == layout;
  if (s.rest() > 0) {
    const GegluSpecs r = GegluSpecs::of_rows(s, s.rest());
    same = same && library.plan(r.gate)->layout.name == layout && library.plan(r.value)->layout.name == layout;
  }
  if (!same) return "finds no weight layout that all its products share";
  return std::nullopt;
}

}  // namespace

void add_linear_kernels(std::vector<Kernel>& table, const std::shared_ptr<Library>& library) {
  KernelInfo linear = kernel_info("linear/onednn", OpKind::linear);
  linear.tolerance_f32 = 1e-5;
  linear.tolerance_half = 6e-3;
  linear.overhead = kGeneratedCode;
  linear.refuse = [library](const Problem& p) { return refuse_plan(p, [&] { (void)library->plan(linear_spec(p)); }); };
  linear.workspace = [library](const Problem& p) { return library->plan(linear_spec(p))->scratch; };
  linear.packed = [library](const Problem& p, int input) {
    return packed_weight(p, input, library->plan(linear_spec(p))->layout, 1);
  };
  table.push_back({linear, [library](const Problem& p, const Binding& at) { return bind_linear(*library, p, at); },
                   [library](const Problem& p, int input, std::span<const WeightPart> parts, std::byte* to) {
                     pack_input(p, input, parts, library->plan(linear_spec(p))->layout, 1, to);
                   }});

  KernelInfo geglu = kernel_info("geglu_linear/onednn", OpKind::geglu_linear);
  geglu.tolerance_f32 = 1e-5;
  geglu.tolerance_half = 8e-3;
  geglu.overhead = kGeneratedCode;
  geglu.refuse = [library](const Problem& p) {
    std::optional<std::string> layouts;
    const auto refused = refuse_plan(p, [&] { layouts = refuse_geglu_layouts(*library, p); });
    return refused ? refused : layouts;
  };
  geglu.workspace = [library](const Problem& p) { return geglu_workspace(*library, p); };
  geglu.packed = [library](const Problem& p, int input) {
    return packed_weight(p, input, library->plan(GegluSpecs(p).gate)->layout, 2);
  };
  table.push_back({geglu, [library](const Problem& p, const Binding& at) { return bind_geglu(*library, p, at); },
                   [library](const Problem& p, int input, std::span<const WeightPart> parts, std::byte* to) {
                     pack_input(p, input, parts, library->plan(GegluSpecs(p).gate)->layout, 2, to);
                   }});
}

}  // namespace tempera::onednn
