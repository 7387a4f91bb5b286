// For tests of lowering: a machine whose kernels are only descriptions, which is enough for lowering, and the fixture
// that builds small graphs and lowers them for it.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <vector>

#include "base/error.h"
#include "ir/builder.h"
#include "program/program.h"

namespace tempera {

class FakeTarget {
 public:
  FakeTarget() {
    target_.name = "fake";
    for (OpKind op : {OpKind::conv2d, OpKind::linear, OpKind::geglu_linear, OpKind::group_norm, OpKind::concat,
                      OpKind::upsample2x, OpKind::attention})
      add(op, "plain");
    for (OpKind op :
         {OpKind::activate, OpKind::add, OpKind::scale, OpKind::cast, OpKind::layer_norm, OpKind::sampler_update})
      add(op, "plain").in_place = true;
    add(OpKind::model_input, "plain");
  }

  // Appends "<op>/<suffix>", a row that refuses nothing.
  KernelInfo& add(OpKind op, std::string_view suffix) {
    names_.push_back(std::make_unique<std::string>(std::string(name(op)) + "/" + std::string(suffix)));
    rows_.push_back(std::make_unique<KernelInfo>());
    rows_.back()->name = *names_.back();
    rows_.back()->op = op;
    target_.kernels.push_back(rows_.back().get());
    return *rows_.back();
  }
  // The first row for the op.
  KernelInfo& row(OpKind op) {
    size_t i = 0;
    while (rows_[i]->op != op) ++i;
    return *rows_[i];
  }
  const Target& target() const { return target_; }

 private:
  std::vector<std::unique_ptr<std::string>> names_;
  std::vector<std::unique_ptr<KernelInfo>> rows_;
  Target target_;
};

inline constexpr DType f32 = DType::f32;
inline const Shape kRow{4, 16};  // 256 bytes
inline const LowerOptions kNoHoist{{}, false, true}, kNoReuse{{}, true, false};

inline LowerOptions without(std::string kernel) {
  LowerOptions options;
  options.exclude.push_back(std::move(kernel));
  return options;
}

inline bool same_place(const Ref& a, const Ref& b) {
  return a.space == b.space && a.offset == b.offset;
}
inline bool overlap(const Ref& a, const Ref& b) {
  return a.space == b.space && a.offset < b.offset + b.desc.bytes() && b.offset < a.offset + a.desc.bytes();
}

class LowerTest : public testing::Test {
 protected:
  // Lowers the graph in b.
  Program lowered(const LowerOptions& options = {}) { return lower(std::move(b).finish(), fake.target(), options); }
  static const Step& step(const Program& p, OpKind kind, int skip = 0) {
    for (const Step& s : p.steps)
      if (kind_of(s.op) == kind && skip-- == 0) return s;
    fail(ErrorCode::internal, "no step {}", name(kind));
  }
  std::string error_of(const LowerOptions& options = {}) {
    try {
      lowered(options);
    } catch (const Error& error) {
      code = error.code();
      return error.what();
    }
    return "";
  }
  Tensor linear(Tensor x, std::string_view w, int64_t out = 16) {
    return b.linear(x, Scope{std::string(w)}, {.out = out, .bias = false});
  }
  Tensor input(std::string name, Rate rate = Rate::step) { return b.input(std::move(name), f32, kRow, rate); }

  FakeTarget fake;
  Builder b{"g", f32};
  ErrorCode code{};
};

}  // namespace tempera
