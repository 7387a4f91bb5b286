// group_norm with shift and activation: one pass for the statistics, one that normalises. Both read the rows in memory
// order. Statistics are computed per channel relative to a pivot (the channel's first value), in f32 over short runs of
// rows, then in f64. So no digits are lost if the mean is far from zero. Chunks depend only on the shape, so the result
// does not depend on the number of threads. If x has a tail, both passes process x's channels first and the tail's
// after them.
#include "backend/cpu/kernels/targets.h"
//
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "backend/cpu/kernels/group_norm.cpp"
#include "hwy/foreach_target.h"
//
#include <algorithm>
#include <cmath>

#include "backend/cpu/kernels/kernels.h"
#include "backend/cpu/kernels/norm_tables.h"
#include "backend/cpu/kernels/vector-inl.h"
#include "backend/cpu/launch.h"

HWY_BEFORE_NAMESPACE();
namespace tempera {
namespace HWY_NAMESPACE {

constexpr int64_t kBlock = 512;  // channels whose sums stay in the first-level cache
constexpr int64_t kFlush = 128;  // rows that are summed in f32

// sum[0, n) += x - pivot, square += (x - pivot)^2 over rows [0, rows) at a distance of `c`. Four rows are added at a
// time, to load and store the sums less often.
template <class T>
HWY_INLINE void accumulate(const T* x, const T* pivot, int64_t rows, int64_t c, int64_t n, float* sum, float* square) {
  const auto add = [&](auto d, const T* p, int64_t i, auto k, auto& s, auto& q) HWY_ATTR {
    const auto v = hn::Sub(load(d, p + i), k);
    s = hn::Add(s, v);
    q = hn::MulAdd(v, v, q);
  };
  int64_t row = 0;
  for (; row + 4 <= rows; row += 4)
    for_each_vector(0, n, [&](auto d, int64_t i) HWY_ATTR {
      const auto k = load(d, pivot + i);
      auto s = load(d, sum + i), q = load(d, square + i);
      for (int64_t r = row; r < row + 4; ++r) add(d, x + r * c, i, k, s, q);
      store(d, s, sum + i);
      store(d, q, square + i);
    });
  for (; row < rows; ++row)
    for_each_vector(0, n, [&](auto d, int64_t i) HWY_ATTR {
      auto s = load(d, sum + i), q = load(d, square + i);
      add(d, x + row * c, i, load(d, pivot + i), s, q);
      store(d, s, sum + i);
      store(d, q, square + i);
    });
}

// sums[0, c) and squares[0, c): sums of x - pivot and of its square over `rows` rows.
void sum_rows(DType type, const void* x, const void* pivot, int64_t rows, int64_t c, double* sums, double* squares) {
  with_type(type, x, [&](const auto* in) HWY_ATTR {
    const auto* base = static_cast<decltype(in)>(pivot);
    alignas(64) float sum[kBlock], square[kBlock];
    std::fill_n(sums, c, 0.0);
    std::fill_n(squares, c, 0.0);
    for (int64_t row = 0; row < rows; row += kFlush)
      for (int64_t c0 = 0; c0 < c; c0 += kBlock) {
        const int64_t n = std::min(kBlock, c - c0);
        std::fill_n(sum, n, 0.0f);
        std::fill_n(square, n, 0.0f);
        accumulate(in + row * c + c0, base + c0, std::min(kFlush, rows - row), c, n, sum, square);
        for (int64_t i = 0; i < n; ++i) {
          sums[c0 + i] += static_cast<double>(sum[i]);
          squares[c0 + i] += static_cast<double>(square[i]);
        }
      }
  });
}

// y = act(x * scale + offset) for `rows` rows of c, at distances of c in x and `stride` in y. y may be x.
void normalise_rows(DType type, const void* x, const float* scale, const float* offset, Activation kind, DType to,
                    void* y, int64_t c, int64_t stride, int64_t rows) {
  with_type(type, x, [&](const auto* in) HWY_ATTR {
    with_type(to, y, [&](auto* out) HWY_ATTR {
      with_activation(kind, [&](auto constant) HWY_ATTR {
        for (int64_t row = 0; row < rows; ++row)
          for_each_vector(0, c, [&](auto d, int64_t i) HWY_ATTR {
            const auto v = hn::MulAdd(load(d, in + row * c + i), load(d, scale + i), load(d, offset + i));
            store(d, activate<constant()>(d, v), out + row * stride + i);
          });
      });
    });
  });
}

}  // namespace HWY_NAMESPACE
}  // namespace tempera
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace tempera {
namespace {

HWY_EXPORT(sum_rows);
HWY_EXPORT(normalise_rows);

float element(DType type, const std::byte* p, int64_t i) {
  return type == DType::f32 ? reinterpret_cast<const float*>(p)[i] : to_float(reinterpret_cast<const bf16*>(p)[i]);
}

// One group_norm bound to its addresses. Workspace: f64 partial[batch][chunks][2][C], f32 scale and offset[batch][C].
class GroupNormRun {
 public:
  GroupNormRun(const Problem& problem, const Binding& at)
      : op_(std::get<GroupNorm>(problem.op)),
        type_(problem.inputs[0].dtype),
        to_(problem.output.dtype),
        shift_type_(op_.shift ? problem.inputs[3].dtype : DType::f32),
        batch_(problem.output.shape[0]),
        pixels_(problem.output.shape[1] * problem.output.shape[2]),
        c_(problem.output.shape[3]),
        chunks_(chunks(problem.output.shape)),
        y_(at.output),
        shift_(op_.shift ? at.inputs[3] : nullptr),
        gamma_(reinterpret_cast<const float*>(at.inputs[1])),
        beta_(reinterpret_cast<const float*>(at.inputs[2])),
        partial_(reinterpret_cast<double*>(at.workspace)),
        scale_(reinterpret_cast<float*>(partial_ + batch_ * chunks_ * 2 * c_)),
        offset_(scale_ + batch_ * c_) {
    const int64_t head = problem.inputs[0].shape[3];
    parts_[0] = {at.inputs[0], 0, head};
    if (op_.tail) parts_[1] = {at.inputs[tail_input(op_)], head, c_ - head};
  }

  static int64_t chunks(const Shape& x) { return std::clamp<int64_t>(x[1] * x[2] / 256, 1, 32); }
  static size_t workspace(const Problem& problem) {
    const Shape& x = problem.output.shape;
    return static_cast<size_t>(x[0] * x[3]) * (static_cast<size_t>(chunks(x)) * 2 * sizeof(double) + 2 * sizeof(float));
  }

  void operator()(Queue&) const {
    parallel_ranges(batch_ * chunks_, 1, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        const int64_t n = i / chunks_, chunk = i % chunks_;
        const int64_t first = pixels_ * chunk / chunks_, last = pixels_ * (chunk + 1) / chunks_;
        for (const Part& part : parts()) {
          double* sums = partial_ + i * 2 * c_ + part.first;
          HWY_DYNAMIC_DISPATCH(sum_rows)
          (type_, row(part, n, first), row(part, n, 0), last - first, part.channels, sums, sums + c_);
        }
      }
    });
    parallel_ranges(batch_ * op_.groups, 8, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) finish_group(i / op_.groups, i % op_.groups);
    });
    for (int64_t n = 0; n < batch_; ++n)
      parallel_ranges(pixels_, grain_for(c_ * 8), [&](int64_t begin, int64_t end) {
        for (const Part& part : parts()) {
          const int64_t c = n * c_ + part.first, y = (n * pixels_ + begin) * c_ + part.first;
          HWY_DYNAMIC_DISPATCH(normalise_rows)
          (type_, row(part, n, begin), scale_ + c, offset_ + c, op_.activation, to_,
           y_ + y * static_cast<int64_t>(size_of(to_)), part.channels, c_, end - begin);
        }
      });
  }

 private:
  // x or the tail. `first` is the index of its first channel.
  struct Part {
    const std::byte* data = nullptr;
    int64_t first = 0, channels = 0;
  };

  std::span<const Part> parts() const { return {parts_, op_.tail ? 2u : 1u}; }
  const std::byte* row(const Part& part, int64_t n, int64_t pixel) const {
    return part.data + (n * pixels_ + pixel) * part.channels * static_cast<int64_t>(size_of(type_));
  }

  // From sums per channel to the group's mean and variance (Chan et al. 1979), then to scale and offset per channel. A
  // shift changes only a channel's mean.
  void finish_group(int64_t n, int64_t group) const {
    const int64_t width = c_ / op_.groups, first = group * width;
    const auto count = static_cast<double>(pixels_);
    double mean = 0, m2 = 0;
    for (int64_t k = 0; k < width; ++k) {
      double sum = 0, square = 0;
      for (int64_t chunk = 0; chunk < chunks_; ++chunk) {
        const double* p = partial_ + (n * chunks_ + chunk) * 2 * c_ + first + k;
        sum += p[0];
        square += p[c_];
      }
      const double channel_mean = sum / count + pivot(n, first + k) + shift(n, first + k);
      const double delta = channel_mean - mean, others = static_cast<double>(k);
      m2 += square - sum * sum / count + delta * delta * count * others / (others + 1);
      mean += delta / (others + 1);
    }
    const double r =
        1 / std::sqrt(std::max(m2, 0.0) / (count * static_cast<double>(width)) + static_cast<double>(op_.eps));
    for (int64_t c = first; c < first + width; ++c) {
      const double scale = r * static_cast<double>(gamma_[c]);
      scale_[n * c_ + c] = static_cast<float>(scale);
      offset_[n * c_ + c] = static_cast<float>((shift(n, c) - mean) * scale + static_cast<double>(beta_[c]));
    }
  }

  double pivot(int64_t n, int64_t c) const {
    const Part& part = parts_[c < parts_[0].channels ? 0 : 1];
    return static_cast<double>(element(type_, row(part, n, 0), c - part.first));
  }
  double shift(int64_t n, int64_t c) const {
    return shift_ == nullptr ? 0.0 : static_cast<double>(element(shift_type_, shift_, n * c_ + c));
  }

  GroupNorm op_;
  DType type_, to_, shift_type_;
  int64_t batch_, pixels_, c_, chunks_;
  Part parts_[2];
  std::byte* y_;
  const std::byte* shift_;
  const float *gamma_, *beta_;
  double* partial_;
  float *scale_, *offset_;
};

}  // namespace

void add_group_norm_kernels(std::vector<Kernel>& table) {
  KernelInfo info = kernel_info("group_norm/vector", OpKind::group_norm);
  info.tolerance_f32 = 2e-6;
  info.tolerance_half = 6e-3;  // the graph also rounds after the shift and after the norm
  info.in_place = true;
  info.refuse = refuse_norm;
  info.workspace = GroupNormRun::workspace;
  table.push_back({info, [](const Problem& p, const Binding& at) -> Launch { return GroupNormRun(p, at); }, {}});
}

}  // namespace tempera
#endif  // HWY_ONCE
