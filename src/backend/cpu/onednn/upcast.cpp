// Products of bf16 models on processors without bf16 arithmetic. Weights stay bf16 in memory, in the order of the f32
// kernel. One slice of output channels at a time is expanded to f32, then the activations in blocks of rows, and the
// results are rounded to bf16. This needs half the memory of f32 and is nearly as fast, because the expansions are a
// small part of the work. Convolutions: conv_upcast.cpp.
#include "backend/cpu/onednn/pieces.h"

namespace tempera::onednn {
namespace {

constexpr int64_t kRows = 512;  // of a matrix at a time

const bf16* as_bf16(const std::byte* p) {
  return reinterpret_cast<const bf16*>(p);
}

// linear, and geglu_linear as two products.
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
  WeightLayout layout() const { return stored_bf16(plan_->layout); }
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
      // The last block ends with the matrix. It may overlap the one before and then writes the same numbers twice.
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

}  // namespace

void add_upcast_kernels(std::vector<Kernel>& table, const std::shared_ptr<Library>& library) {
  add_row_of_pieces<UpcastLinear>(table, library, "linear/upcast", OpKind::linear, DType::bf16);
  add_row_of_pieces<UpcastLinear>(table, library, "geglu_linear/upcast", OpKind::geglu_linear, DType::bf16);
}

}  // namespace tempera::onednn
