// layer_norm: one row at a time. Mean and centred variance read it from the cache, so memory is read and written once.
#include "backend/cpu/kernels/targets.h"
//
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "backend/cpu/kernels/layer_norm.cpp"
#include "hwy/foreach_target.h"
//
#include <cmath>

#include "backend/cpu/kernels/kernels.h"
#include "backend/cpu/kernels/norm_tables.h"
#include "backend/cpu/kernels/vector-inl.h"
#include "backend/cpu/launch.h"

HWY_BEFORE_NAMESPACE();
namespace tempera {
namespace HWY_NAMESPACE {

// Sum of f(d, i) over [0, n), with two independent vectors of sums.
template <class F>
HWY_INLINE float sum_of(int64_t n, const F& f) {
  const VectorTag d;
  const ScalarTag one;
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  auto s0 = hn::Zero(d), s1 = hn::Zero(d);
  int64_t i = 0;
  for (; i + 2 * lanes <= n; i += 2 * lanes) s0 = hn::Add(s0, f(d, i)), s1 = hn::Add(s1, f(d, i + lanes));
  float sum = hn::GetLane(hn::SumOfLanes(d, hn::Add(s0, s1)));
  for (; i < n; ++i) sum += hn::GetLane(f(one, i));
  return sum;
}

template <class In, class Out>
HWY_INLINE void normalise(const In* in, const float* gamma, const float* beta, float eps, Out* out, int64_t c,
                          int64_t rows) {
  for (int64_t row = 0; row < rows; ++row) {
    const auto* xr = in + row * c;
    const float mean = sum_of(c, [&](auto d, int64_t i) HWY_ATTR { return load(d, xr + i); }) / static_cast<float>(c);
    const float m2 = sum_of(c, [&](auto d, int64_t i) HWY_ATTR {
      const auto v = hn::Sub(load(d, xr + i), hn::Set(d, mean));
      return hn::Mul(v, v);
    });
    const float scale = 1.0f / std::sqrt(m2 / static_cast<float>(c) + eps);
    for_each_vector(0, c, [&](auto d, int64_t i) HWY_ATTR {
      const auto v = hn::Mul(hn::Sub(load(d, xr + i), hn::Set(d, mean)), hn::Set(d, scale));
      store(d, hn::MulAdd(v, load(d, gamma + i), load(d, beta + i)), out + row * c + i);
    });
  }
}

void layer_norm_rows(DType type, const void* x, const float* gamma, const float* beta, float eps, DType to, void* y,
                     int64_t c, int64_t rows) {
  with_type(type, x, [&](const auto* in) HWY_ATTR {
    with_type(to, y, [&](auto* out) HWY_ATTR { normalise(in, gamma, beta, eps, out, c, rows); });
  });
}

}  // namespace HWY_NAMESPACE
}  // namespace tempera
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace tempera {
namespace {

HWY_EXPORT(layer_norm_rows);

Launch bind_layer_norm(const Problem& problem, const Binding& at) {
  const TensorDesc& x = problem.inputs[0];
  const float eps = std::get<LayerNorm>(problem.op).eps;
  const auto* gamma = reinterpret_cast<const float*>(at.inputs[1]);
  const auto* beta = reinterpret_cast<const float*>(at.inputs[2]);
  const DType type = x.dtype, to = problem.output.dtype;
  const auto size = static_cast<int64_t>(size_of(type)), to_size = static_cast<int64_t>(size_of(to));
  return [=, rows = x.shape.rows(), c = x.shape[-1], in = at.inputs[0], y = at.output](Queue&) {
    parallel_ranges(rows, grain_for(c * 8), [&](int64_t begin, int64_t end) {
      HWY_DYNAMIC_DISPATCH(layer_norm_rows)
      (type, in + begin * c * size, gamma, beta, eps, to, y + begin * c * to_size, c, end - begin);
    });
  };
}

}  // namespace

void add_layer_norm_kernels(std::vector<Kernel>& table) {
  KernelInfo info = kernel_info("layer_norm/vector", OpKind::layer_norm);
  info.tolerance_f32 = 2e-6;
  info.tolerance_half = 3e-3;
  info.in_place = true;
  info.refuse = refuse_norm;
  table.push_back({info, bind_layer_norm, {}});
}

}  // namespace tempera
#endif  // HWY_ONCE
