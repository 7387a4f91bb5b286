// The shared part of rows that compute a problem piece by piece. The current piece is in f32 in scratch memory.
#pragma once

#include <algorithm>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "backend/cpu/bf16.h"
#include "backend/cpu/onednn/rows.h"
#include "backend/cpu/onednn/weights.h"
#include "base/error.h"

namespace tempera::onednn {

// The number of output channels to expand at a time, of n with `weights` weights each: the largest divisor of n up to
// several hundreds and 24 MiB in f32. It is n itself if that divisor would be too small (n is prime).
inline int64_t slice_of(int64_t n, int64_t weights) {
  constexpr int64_t kSlice = 768, kSliceBytes = 24 << 20;
  for (int64_t d = std::min({n, kSlice, kSliceBytes / (weights * 4)}); d >= 64; --d)
    if (n % d == 0) return d;
  return n;
}

// The f32 plan's layout, with bf16 elements.
inline WeightLayout stored_bf16(WeightLayout layout) {
  layout.dtype = DType::bf16;
  layout.name = "bf16 in place of " + layout.name;
  return layout;
}

inline void expand(const bf16* x, float* y, int64_t n) {
  parallel_ranges(n, 16384, [&](int64_t begin, int64_t end) { expand_bf16(x + begin, y + begin, end - begin); });
}

inline void store_row(const float* y, const bf16* residual, bf16* out, int64_t n) {
  round_bf16(y, residual, out, n);
}
inline void store_row(const float* y, const float* residual, float* out, int64_t n) {
  if (residual == nullptr) {
    std::copy_n(y, n, out);
  } else {
    for (int64_t i = 0; i < n; ++i) out[i] = y[i] + residual[i];
  }
}

// The place of the results: columns of the output's rows, which are `stride` elements apart. The residual is added if
// there is one. The output is bf16, or f32 if it is part of a wider residual stream.
class Store {
 public:
  Store(const Problem& p, const Binding& at, bool residual)
      : to_(p.output.dtype),
        stride_(p.output.shape[-1]),
        out_(at.output),
        residual_(residual && at.output != nullptr ? at.inputs.back() : nullptr) {}

  // Writes y (rows, width) to the elements that begin at `first`.
  void operator()(const float* y, int64_t rows, int64_t width, int64_t first) const {
    parallel_ranges(rows, grain_for(width * 4), [&](int64_t begin, int64_t end) {
      for (int64_t r = begin; r < end; ++r) row(y + r * width, width, first + r * stride_);
    });
  }

  // Writes n values to the elements that begin at `first`.
  void row(const float* y, int64_t n, int64_t first) const {
    if (to_ == DType::f32) {
      write<float>(y, n, first);
    } else {
      write<bf16>(y, n, first);
    }
  }

 private:
  template <class T>
  void write(const float* y, int64_t n, int64_t first) const {
    const T* residual = residual_ == nullptr ? nullptr : reinterpret_cast<const T*>(residual_) + first;
    store_row(y, residual, reinterpret_cast<T*>(out_) + first, n);
  }

  DType to_;
  int64_t stride_;
  std::byte* out_;
  const std::byte* residual_;
};

// Allocates pieces of f32 memory in a workspace, each aligned.
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

// A row for inputs of one type. A Run(library, problem, binding) with an empty binding only gives information:
// workspace(), layout() and pieces() of weight 1, and shares_layout(), whether all its products read the same layout.
template <class Run>
void add_row_of_pieces(std::vector<Kernel>& table, const std::shared_ptr<Library>& library, std::string_view name,
                       OpKind op, DType dtype) {
  KernelInfo info = kernel_info(name, op);
  info.tolerance_f32 = 1e-5;
  info.tolerance_half = 6e-3;
  info.overhead = kGeneratedCode;
  const auto describe = [library](const Problem& p) { return Run(*library, p, {}); };
  info.refuse = [describe, dtype](const Problem& p) -> std::optional<std::string> {
    if (p.inputs[0].dtype != dtype) return fmt::format("is for {} alone", tempera::name(dtype));
    bool shares = false;
    auto refused = refuse_plan(p, [&] { shares = describe(p).shares_layout(); });
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

}  // namespace tempera::onednn
