// activate and gelu_gate: one pass over memory, f32 arithmetic.
#include "backend/cpu/kernels/targets.h"
//
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "backend/cpu/kernels/activation.cpp"
#include "hwy/foreach_target.h"
//
#include "backend/cpu/kernels/kernels.h"
#include "backend/cpu/kernels/vector-inl.h"
#include "backend/cpu/launch.h"

HWY_BEFORE_NAMESPACE();
namespace tempera {
namespace HWY_NAMESPACE {

// Elements [begin, end) of act(x); y may be x.
void activate_range(Activation kind, DType type, const void* x, void* y, int64_t begin, int64_t end) {
  with_type(type, x, [&](const auto* in) HWY_ATTR {
    auto* out = static_cast<std::remove_const_t<std::remove_pointer_t<decltype(in)>>*>(y);
    with_activation(kind, [&](auto constant) HWY_ATTR {
      for_each_vector(begin, end,
                      [&](auto d, int64_t i) HWY_ATTR { store(d, activate<constant()>(d, load(d, in + i)), out + i); });
    });
  });
}

// Rows [begin, end) of x (rows, 2 F) -> y (rows, F).
void gelu_gate_rows(DType type, const void* x, void* y, int64_t f, int64_t begin, int64_t end) {
  with_type(type, x, [&](const auto* in) HWY_ATTR {
    auto* out = static_cast<std::remove_const_t<std::remove_pointer_t<decltype(in)>>*>(y);
    for (int64_t row = begin; row < end; ++row) {
      const auto *value = in + row * 2 * f, *gate = value + f;
      for_each_vector(0, f, [&](auto d, int64_t i) HWY_ATTR {
        store(d, hn::Mul(load(d, value + i), gelu(d, load(d, gate + i))), out + row * f + i);
      });
    }
  });
}

}  // namespace HWY_NAMESPACE
}  // namespace tempera
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace tempera {
namespace {

HWY_EXPORT(activate_range);
HWY_EXPORT(gelu_gate_rows);

Launch bind_activate(const Problem& problem, const Binding& at) {
  const Activation kind = std::get<Activate>(problem.op).kind;
  const TensorDesc x = problem.inputs[0];
  return [kind, type = x.dtype, n = x.shape.elements(), in = at.inputs[0], out = at.output](Queue&) {
    parallel_ranges(n, 16384, [&](int64_t begin, int64_t end) {
      HWY_DYNAMIC_DISPATCH(activate_range)(kind, type, in, out, begin, end);
    });
  };
}

Launch bind_gelu_gate(const Problem& problem, const Binding& at) {
  const TensorDesc y = problem.output;
  return [type = y.dtype, rows = y.shape.rows(), f = y.shape[-1], in = at.inputs[0], out = at.output](Queue&) {
    parallel_ranges(rows, grain_for(f * 8), [&](int64_t begin, int64_t end) {
      HWY_DYNAMIC_DISPATCH(gelu_gate_rows)(type, in, out, f, begin, end);
    });
  };
}

}  // namespace

void add_activation_kernels(std::vector<Kernel>& table) {
  KernelInfo info = kernel_info("activate/vector", OpKind::activate);
  info.tolerance_f32 = 1e-6;
  info.tolerance_half = 3e-3;
  info.in_place = true;
  info.refuse = refuse_other_than_f32_bf16;
  table.push_back({info, bind_activate, {}});
  info.name = "gelu_gate/vector";
  info.tolerance_f32 = 5e-6;  // relative, at large negative values of gelu
  info.tolerance_half = 6e-3;
  info.op = OpKind::gelu_gate;
  info.in_place = false;
  table.push_back({info, bind_gelu_gate, {}});
}

}  // namespace tempera
#endif  // HWY_ONCE
