// add (broadcast), scale and cast: one pass over memory.
#include "backend/cpu/kernels/targets.h"
//
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "backend/cpu/kernels/elementwise.cpp"
#include "hwy/foreach_target.h"
//
#include <array>

#include "backend/cpu/bf16.h"
#include "backend/cpu/kernels/kernels.h"
#include "backend/cpu/kernels/vector-inl.h"
#include "backend/cpu/launch.h"

HWY_BEFORE_NAMESPACE();
namespace tempera {
namespace HWY_NAMESPACE {

// y[0, n) = a + b; b is a single element when `one_b`. y has a's type and may be a.
void add_range(DType type_a, const void* a, DType type_b, const void* b, bool one_b, void* y, int64_t n) {
  with_type(type_a, a, [&](const auto* pa) HWY_ATTR {
    auto* out = static_cast<std::remove_const_t<std::remove_pointer_t<decltype(pa)>>*>(y);
    with_type(type_b, b, [&](const auto* pb) HWY_ATTR {
      if (one_b) {
        const float value = to_float(*pb);
        for_each_vector(
            0, n, [&](auto d, int64_t i) HWY_ATTR { store(d, hn::Add(load(d, pa + i), hn::Set(d, value)), out + i); });
      } else {
        for_each_vector(
            0, n, [&](auto d, int64_t i) HWY_ATTR { store(d, hn::Add(load(d, pa + i), load(d, pb + i)), out + i); });
      }
    });
  });
}

void scale_range(DType type, const void* x, float factor, float offset, void* y, int64_t begin, int64_t end) {
  with_type(type, x, [&](const auto* in) HWY_ATTR {
    auto* out = static_cast<std::remove_const_t<std::remove_pointer_t<decltype(in)>>*>(y);
    for_each_vector(begin, end, [&](auto d, int64_t i) HWY_ATTR {
      store(d, hn::MulAdd(load(d, in + i), hn::Set(d, factor), hn::Set(d, offset)), out + i);
    });
  });
}

// Rows [begin, end) of `channels` elements, each channel with its own factor and offset.
void scale_rows(DType type, const void* x, const float* factor, const float* offset, int64_t channels, void* y,
                int64_t begin, int64_t end) {
  with_type(type, x, [&](const auto* in) HWY_ATTR {
    auto* out = static_cast<std::remove_const_t<std::remove_pointer_t<decltype(in)>>*>(y);
    for (int64_t row = begin * channels; row < end * channels; row += channels)
      for_each_vector(0, channels, [&](auto d, int64_t c) HWY_ATTR {
        store(d, hn::MulAdd(load(d, in + row + c), load(d, factor + c), load(d, offset + c)), out + row + c);
      });
  });
}

}  // namespace HWY_NAMESPACE
}  // namespace tempera
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace tempera {
namespace {

HWY_EXPORT(add_range);
HWY_EXPORT(scale_range);
HWY_EXPORT(scale_rows);

constexpr int64_t kGrain = 16384;  // elements

// Rows of the last dimension of a, and the beginning of each in b.
struct Broadcast {
  std::array<int64_t, 3> dims{1, 1, 1};     // of a, without the last, padded in front
  std::array<int64_t, 3> strides{0, 0, 0};  // of b, 0 where it is broadcast
  int64_t n = 1;                            // last dimension of a
  bool one = false;                         // whether b has one element there

  Broadcast(const Shape& a, const Shape& b) : n(a[-1]), one(b[-1] == 1 && a[-1] != 1) {
    int64_t stride = b[-1];
    for (int i = a.rank() - 2, slot = 2; i >= 0; --i, --slot) {
      const auto s = static_cast<size_t>(slot);
      dims[s] = a[i];
      strides[s] = b[i] == 1 ? 0 : stride;
      stride *= b[i];
    }
  }
  int64_t rows() const { return dims[0] * dims[1] * dims[2]; }
  int64_t offset(int64_t row) const {
    return row % dims[2] * strides[2] + row / dims[2] % dims[1] * strides[1] + row / (dims[2] * dims[1]) * strides[0];
  }
};

Launch bind_add(const Problem& problem, const Binding& at) {
  const TensorDesc &da = problem.inputs[0], &db = problem.inputs[1];
  const std::byte *a = at.inputs[0], *b = at.inputs[1];
  std::byte* y = at.output;
  const auto size_a = static_cast<int64_t>(size_of(da.dtype)), size_b = static_cast<int64_t>(size_of(db.dtype));
  const DType type_a = da.dtype, type_b = db.dtype;
  if (da.shape == db.shape)
    return [=, n = da.shape.elements()](Queue&) {
      parallel_ranges(n, kGrain, [&](int64_t begin, int64_t end) {
        HWY_DYNAMIC_DISPATCH(add_range)
        (type_a, a + begin * size_a, type_b, b + begin * size_b, false, y + begin * size_a, end - begin);
      });
    };
  return [=, map = Broadcast(da.shape, db.shape)](Queue&) {
    parallel_ranges(map.rows(), std::max<int64_t>(1, kGrain / map.n), [&](int64_t begin, int64_t end) {
      for (int64_t row = begin; row < end; ++row) {
        const int64_t at_a = row * map.n * size_a;
        HWY_DYNAMIC_DISPATCH(add_range)
        (type_a, a + at_a, type_b, b + map.offset(row) * size_b, map.one, y + at_a, map.n);
      }
    });
  };
}

Launch bind_scale(const Problem& problem, const Binding& at) {
  const Scale& op = std::get<Scale>(problem.op);
  const TensorDesc& x = problem.inputs[0];
  if (op.factor.size() > 1)
    return [op, type = x.dtype, rows = x.shape.rows(), in = at.inputs[0], y = at.output](Queue&) {
      const auto channels = static_cast<int64_t>(op.factor.size());
      parallel_ranges(rows, std::max<int64_t>(1, kGrain / channels), [&](int64_t begin, int64_t end) {
        HWY_DYNAMIC_DISPATCH(scale_rows)(type, in, op.factor.data(), op.offset.data(), channels, y, begin, end);
      });
    };
  return [factor = op.factor[0], offset = op.offset[0], type = x.dtype, n = x.shape.elements(), in = at.inputs[0],
          y = at.output](Queue&) {
    parallel_ranges(n, kGrain, [&](int64_t begin, int64_t end) {
      HWY_DYNAMIC_DISPATCH(scale_range)(type, in, factor, offset, y, begin, end);
    });
  };
}

Launch bind_cast(const Problem& problem, const Binding& at) {
  const DType from = problem.inputs[0].dtype, to = problem.output.dtype;
  const auto from_size = static_cast<int64_t>(size_of(from)), to_size = static_cast<int64_t>(size_of(to));
  const int64_t n = problem.output.shape.elements();
  const std::byte* x = at.inputs[0];
  std::byte* y = at.output;
  return [=](Queue&) {
    parallel_ranges(n, kGrain, [&](int64_t begin, int64_t end) {
      const std::byte* in = x + begin * from_size;
      std::byte* out = y + begin * to_size;
      if (from == DType::bf16 && to == DType::f32)
        return expand_bf16(reinterpret_cast<const bf16*>(in), reinterpret_cast<float*>(out), end - begin);
      if (from == DType::f32 && to == DType::bf16)
        return round_bf16(reinterpret_cast<const float*>(in), nullptr, reinterpret_cast<bf16*>(out), end - begin);
      convert(in, from, out, to, static_cast<size_t>(end - begin));
    });
  };
}

std::optional<std::string> refuse_cast(const Problem& problem) {
  const auto real = [](DType t) { return is_f32_or_bf16(t) || t == DType::f16; };
  const DType from = problem.inputs[0].dtype, to = problem.output.dtype;
  if (from == to) return std::nullopt;
  if (!real(to)) return "writes f32, f16 and bf16 only";
  const bool number = from == DType::f64 || from == DType::i32 || from == DType::i64 || from == DType::u8;
  if (!real(from) && !number) return "does not read this type";
  return std::nullopt;
}

}  // namespace

void add_elementwise_kernels(std::vector<Kernel>& table) {
  KernelInfo add = kernel_info("add/vector", OpKind::add);
  add.numerics = Numerics::rounding;
  add.tolerance_f32 = 0;
  add.tolerance_half = 0;
  add.in_place = true;
  add.refuse = refuse_other_than_f32_bf16;
  table.push_back({add, bind_add, {}});

  // A fused multiply-add rounds once, a product and a sum round twice.
  KernelInfo scale = kernel_info("scale/vector", OpKind::scale);
  scale.tolerance_f32 = 1e-6;
  scale.tolerance_half = 3e-3;
  scale.in_place = true;
  scale.refuse = refuse_other_than_f32_bf16;
  table.push_back({scale, bind_scale, {}});

  KernelInfo cast = kernel_info("cast/vector", OpKind::cast);
  cast.numerics = Numerics::rounding;
  cast.tolerance_f32 = 0;
  cast.tolerance_half = 0;
  cast.refuse = refuse_cast;
  table.push_back({cast, bind_cast, {}});
}

}  // namespace tempera
#endif  // HWY_ONCE
