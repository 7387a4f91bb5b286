// bf16 models on processors without bf16 arithmetic: weights stay bf16 in memory, in the order that the f32 kernel
// wants; a slice of output channels is expanded to f32 at a time, then the activations in blocks of rows, and the
// results are rounded back. Half the memory of f32 at nearly its speed: the expansions are a small part of the
// products.
#include <algorithm>

#include "backend/cpu/kernels/bf16.h"
#include "backend/cpu/onednn/rows.h"
#include "backend/cpu/onednn/weights.h"

namespace tempera::onednn {
namespace {

constexpr int64_t kSlice = 768;            // output channels at a time, and no more than
constexpr int64_t kSliceBytes = 24 << 20;  // of their weights, in f32
constexpr int64_t kRows = 512;             // rows of a matrix at a time
constexpr int64_t kBandBytes = 8 << 20;    // of a picture's input rows at a time, in f32

bf16* as_bf16(std::byte* p) {
  return reinterpret_cast<bf16*>(p);
}

// Of n output channels with so many weights each: the largest divisor of n up to the limits; n itself where that would
// be a poor one (n is prime).
int64_t slice_of(int64_t n, int64_t weights) {
  for (int64_t d = std::min({n, kSlice, kSliceBytes / (weights * 4)}); d >= 64; --d)
    if (n % d == 0) return d;
  return n;
}

// The f32 plan's layout, holding bf16.
WeightLayout stored(WeightLayout layout) {
  layout.dtype = DType::bf16;
  layout.name = "bf16 in place of " + layout.name;
  return layout;
}

void expand(const bf16* x, float* y, int64_t n) {
  parallel_ranges(n, 16384, [&](int64_t begin, int64_t end) { expand_bf16(x + begin, y + begin, end - begin); });
}

void store_row(const float* y, const bf16* residual, bf16* out, int64_t n) {
  round_bf16(y, residual, out, n);
}
void store_row(const float* y, const float* residual, float* out, int64_t n) {
  if (residual == nullptr) {
    std::copy_n(y, n, out);
  } else {
    for (int64_t i = 0; i < n; ++i) out[i] = y[i] + residual[i];
  }
}

// Where results go: columns of the output's rows, which are `stride` elements apart, plus the residual's where there is
// one; in bf16, or in f32 where the output is part of a wider residual stream.
class Store {
 public:
  Store(const Problem& p, const Binding& at, bool residual)
      : to_(p.output.dtype),
        stride_(p.output.shape[-1]),
        out_(at.output),
        residual_(residual && at.output != nullptr ? at.inputs.back() : nullptr) {}

  // y (rows, width) to the elements from `first` on.
  void operator()(const float* y, int64_t rows, int64_t width, int64_t first) const {
    if (to_ == DType::f32) {
      write<float>(y, rows, width, first);
    } else {
      write<bf16>(y, rows, width, first);
    }
  }

 private:
  template <class T>
  void write(const float* y, int64_t rows, int64_t width, int64_t first) const {
    const T* residual = residual_ == nullptr ? nullptr : reinterpret_cast<const T*>(residual_) + first;
    T* out = reinterpret_cast<T*>(out_) + first;
    parallel_ranges(rows, grain_for(width * 4), [&](int64_t begin, int64_t end) {
      for (int64_t r = begin; r < end; ++r)
        store_row(y + r * width, residual == nullptr ? nullptr : residual + r * stride_, out + r * stride_, width);
    });
  }

  DType to_;
  int64_t stride_;
  std::byte* out_;
  const std::byte* residual_;
};

// Takes pieces of f32 memory off a workspace, each aligned.
class Pieces {
 public:
  explicit Pieces(std::byte* base) : base_(base) {}
  float* take(size_t bytes) {
    std::byte* piece = base_ == nullptr ? nullptr : base_ + used_;
    used_ += (bytes + 63) / 64 * 64;
    return reinterpret_cast<float*>(piece);
  }
  size_t used() const { return used_; }

 private:
  std::byte* base_;
  size_t used_ = 0;
};

// linear, and geglu_linear as two of them.
class UpcastLinear {
 public:
  UpcastLinear(Library& library, const Problem& p, const Binding& at)
      : gated_(kind_of(p.op) == OpKind::geglu_linear),
        rows_(p.output.shape.rows()),
        n_(p.output.shape[-1]),
        at_(at),
        store_(p, at, !gated_ && std::get<Linear>(p.op).residual) {
    const auto* linear = std::get_if<Linear>(&p.op);
    spec_ = {std::min(rows_, kRows), p.inputs[0].shape[-1], slice_of(n_, p.inputs[0].shape[-1])};
    spec_.bias = linear != nullptr ? linear->bias : std::get<GegluLinear>(p.op).bias;
    MatmulSpec gate = spec_;
    gate.activation = Activation::gelu;
    if (gated_) spec_.operand = Operand::multiply;
    if (linear != nullptr) spec_.activation = linear->activation;
    plan_ = library.plan(spec_);
    gate_plan_ = gated_ ? library.plan(gate) : nullptr;
    elements_ = plan_->layout.elements;

    Pieces pieces(at.workspace);
    x_ = pieces.take(static_cast<size_t>(spec_.m * spec_.k) * 4);
    w_ = pieces.take(static_cast<size_t>(elements_) * 4);
    y_ = pieces.take(static_cast<size_t>(spec_.m * spec_.n) * 4);
    gate_w_ = gated_ ? pieces.take(static_cast<size_t>(elements_) * 4) : nullptr;
    gate_y_ = gated_ ? pieces.take(static_cast<size_t>(spec_.m * spec_.n) * 4) : nullptr;
    scratch_ = pieces.take(std::max(plan_->scratch, gated_ ? gate_plan_->scratch : 0));
    workspace_ = pieces.used();
    if (at.output == nullptr) return;
    call_ = std::make_shared<Call>(library, plan_, args(0));
    if (gated_) gate_call_ = std::make_shared<Call>(library, gate_plan_, gate_args(0));
  }

  size_t workspace() const { return workspace_; }
  WeightLayout layout() const { return stored(plan_->layout); }
  int pieces() const { return static_cast<int>(n_ / spec_.n) * (gated_ ? 2 : 1); }
  bool shares_layout() const { return !gated_ || gate_plan_->layout.name == plan_->layout.name; }

  void operator()(Queue&) const {
    const bf16* weights = as_bf16(at_.inputs[1]);
    for (int64_t n0 = 0; n0 < n_; n0 += spec_.n) {
      const int64_t slice = n0 / spec_.n;
      expand(weights + slice * elements_, w_, elements_);
      if (gated_) expand(weights + (n_ / spec_.n + slice) * elements_, gate_w_, elements_);
      call_->set(args(n0));
      if (gated_) gate_call_->set(gate_args(n0));
      // The last block ends with the matrix and may overlap the one before: the same numbers twice.
      for (int64_t row = 0; row < rows_; row += spec_.m) block(std::min(row, rows_ - spec_.m), n0);
    }
  }

 private:
  CallArgs args(int64_t n0) const { return {x_, w_, bias(n0), gate_y_, y_, scratch_}; }
  CallArgs gate_args(int64_t n0) const { return {x_, gate_w_, bias(n_ + n0), nullptr, gate_y_, scratch_}; }
  const float* bias(int64_t n0) const {
    return spec_.bias ? reinterpret_cast<const float*>(at_.inputs[2]) + n0 : nullptr;
  }

  void block(int64_t row, int64_t n0) const {
    expand(as_bf16(at_.inputs[0]) + row * spec_.k, x_, spec_.m * spec_.k);
    if (gated_) gate_call_->run();
    call_->run();
    store_(y_, spec_.m, spec_.n, row * n_ + n0);
  }

  bool gated_;
  int64_t rows_, n_, elements_ = 0;
  Binding at_;
  Store store_;
  MatmulSpec spec_;
  std::shared_ptr<const Plan> plan_, gate_plan_;
  float *x_, *w_, *y_, *gate_w_, *gate_y_, *scratch_;
  size_t workspace_ = 0;
  std::shared_ptr<Call> call_, gate_call_;
};

// Bands of rows, with the rows beyond the picture as zeros of their own, so that all bands are one problem.
class UpcastConv {
 public:
  UpcastConv(Library& library, const Problem& p, const Binding& at)
      : op_(std::get<Conv2d>(p.op)),
        head_(p.inputs[0].shape[3]),
        x_shape_(p.inputs[0].shape),
        out_shape_(p.output.shape),
        at_(at),
        store_(p, at, op_.residual) {
    x_shape_.set(3, p.inputs[1].shape[1]);
    const int64_t row_bytes = x_shape_[2] * x_shape_[3] * 4;
    band_ = std::clamp<int64_t>(kBandBytes / (row_bytes * op_.stride), 1, out_shape_[1]);
    spec_ = {.batch = 1,
             .height = (band_ - 1) * op_.stride + op_.kernel,
             .width = x_shape_[2],
             .channels = x_shape_[3],
             .out = slice_of(out_shape_[3], x_shape_[3] * op_.kernel * op_.kernel),
             .kernel = op_.kernel,
             .stride = op_.stride,
             .pad_top = 0,
             .pad_bottom = 0,
             .pad_left = op_.pad_before,
             .pad_right = op_.pad_after,
             .bias = op_.bias,
             .activation = op_.activation};
    plan_ = library.plan(spec_);
    Pieces pieces(at.workspace);
    x_ = pieces.take(static_cast<size_t>(spec_.height * row_bytes));
    w_ = pieces.take(static_cast<size_t>(plan_->layout.elements) * 4);
    y_ = pieces.take(static_cast<size_t>(band_ * out_shape_[2] * spec_.out) * 4);
    scratch_ = pieces.take(plan_->scratch);
    workspace_ = pieces.used();
    if (at.output != nullptr) call_ = std::make_shared<Call>(library, plan_, args(0));
  }

  size_t workspace() const { return workspace_; }
  WeightLayout layout() const { return stored(plan_->layout); }
  int pieces() const { return static_cast<int>(out_shape_[3] / spec_.out); }
  static bool shares_layout() { return true; }

  void operator()(Queue&) const {
    const int64_t elements = plan_->layout.elements;
    for (int64_t o = 0; o < out_shape_[3]; o += spec_.out) {
      expand(as_bf16(at_.inputs[1]) + o / spec_.out * elements, w_, elements);
      call_->set(args(o));
      for (int64_t n = 0; n < out_shape_[0]; ++n)
        for (int64_t row = 0; row < out_shape_[1]; row += band_) band(n, std::min(row, out_shape_[1] - band_), o);
    }
  }

 private:
  CallArgs args(int64_t o) const {
    return {x_, w_, op_.bias ? reinterpret_cast<const float*>(at_.inputs[2]) + o : nullptr, nullptr, y_, scratch_};
  }

  // Row `row` of all pictures' to f32: pixel by pixel where x has a tail, the tail's channels after those of x.
  void expand_row(int64_t row, float* to) const {
    const bf16* x = as_bf16(at_.inputs[0]);
    const int64_t width = x_shape_[2], tail = x_shape_[3] - head_;
    if (!op_.tail) return expand_bf16(x + row * width * head_, to, width * head_);
    const bf16* rest = as_bf16(at_.inputs[tail_input(op_)]);
    for (int64_t pixel = row * width; pixel < (row + 1) * width; ++pixel, to += head_ + tail) {
      expand_bf16(x + pixel * head_, to, head_);
      expand_bf16(rest + pixel * tail, to + head_, tail);
    }
  }

  void band(int64_t n, int64_t out_row, int64_t o) const {
    const int64_t row_elements = x_shape_[2] * x_shape_[3], height = x_shape_[1];
    parallel_ranges(spec_.height, grain_for(row_elements * 4), [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        const int64_t row = out_row * op_.stride - op_.pad_before + i;
        if (row >= 0 && row < height) {
          expand_row(n * height + row, x_ + i * row_elements);
        } else {
          std::fill_n(x_ + i * row_elements, row_elements, 0.0f);
        }
      }
    });
    call_->run();
    const int64_t width = out_shape_[2], channels = out_shape_[3];
    store_(y_, band_ * width, spec_.out, (n * out_shape_[1] + out_row) * width * channels + o);
  }

  Conv2d op_;
  int64_t head_;               // channels of x without the tail
  Shape x_shape_, out_shape_;  // x's with it
  Binding at_;
  Store store_;
  int64_t band_;  // output rows at a time
  ConvSpec spec_;
  std::shared_ptr<const Plan> plan_;
  float *x_, *w_, *y_, *scratch_;
  size_t workspace_ = 0;
  std::shared_ptr<Call> call_;
};

template <class Run>
void add_row(std::vector<Kernel>& table, const std::shared_ptr<Library>& library, std::string_view name, OpKind op) {
  KernelInfo info = kernel_info(name, op);
  info.tolerance_half = 6e-3;
  const auto describe = [library](const Problem& p) { return Run(*library, p, {}); };
  info.refuse = [describe](const Problem& p) -> std::optional<std::string> {
    if (p.inputs[0].dtype != DType::bf16) return "is for bf16 alone";
    bool shares = false;
    const auto refused = refuse_plan(p, [&] { shares = describe(p).shares_layout(); });
    if (refused || shares) return refused;
    return "finds no weight layout that all its products share";
  };
  info.workspace = [describe](const Problem& p) { return describe(p).workspace(); };
  info.packed = [describe](const Problem& p, int input) {
    const Run run = describe(p);
    return packed_weight(p, input, run.layout(), run.pieces());
  };
  table.push_back({info, [library](const Problem& p, const Binding& at) -> Launch { return Run(*library, p, at); },
                   [describe](const Problem& p, int input, std::span<const WeightPart> parts, std::byte* to) {
                     const Run run = describe(p);
                     pack_input(p, input, parts, run.layout(), run.pieces(), to);
                   }});
}

}  // namespace

void add_upcast_kernels(std::vector<Kernel>& table, const std::shared_ptr<Library>& library) {
  add_row<UpcastConv>(table, library, "conv2d/upcast", OpKind::conv2d);
  add_row<UpcastLinear>(table, library, "linear/upcast", OpKind::linear);
  add_row<UpcastLinear>(table, library, "geglu_linear/upcast", OpKind::geglu_linear);
}

}  // namespace tempera::onednn
