// The harness finds every kind of fault, each put into a kernel that is otherwise correct.
#include "conformance/harness.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>

#include "backend/host_backend.h"
#include "backend/reference/reference.h"
#include "base/error.h"
#include "conformance/cases.h"

namespace tempera {
namespace {
using testing::Contains;
using testing::HasSubstr;
using testing::IsEmpty;

const Case& linear_case() {
  static const Case c = make_case(Linear{false}, {activations(DType::f32, {5, 7}), parameters(DType::f32, {3, 7})});
  return c;
}
const Case& scale_case() {
  static const Case c = make_case(Scale{{2}, {0}}, {activations(DType::f32, {5, 7})});
  return c;
}

class HarnessTest : public testing::Test {
 protected:
  // The reference's row for the op, to put faults in.
  Kernel row(OpKind op) const {
    for (const Kernel& kernel : backend_->kernels())
      if (kernel.info.op == op) {
        Kernel copy = kernel;
        copy.info.tolerance_f32 = 1e-6;
        return copy;
      }
    fail(ErrorCode::internal, "no row for {}", name(op));
  }
  // The row, followed by `spoil`.
  Kernel spoilt(OpKind op, std::function<void(const Problem&, const Binding&)> spoil) const {
    Kernel kernel = row(op);
    kernel.bind = [right = kernel.bind, spoil](const Problem& p, const Binding& b) -> Launch {
      return [launch = right(p, b), spoil, p, b](Queue& queue) {
        launch(queue);
        spoil(p, b);
      };
    };
    return kernel;
  }
  std::vector<std::string> faults(const Kernel& kernel, const Case& c) {
    Harness harness(*backend_, oracle_);
    return harness.check(kernel, c).faults;
  }

  std::unique_ptr<Backend> backend_ = make_reference_backend();
  Oracle oracle_;
};

float* floats(std::byte* data) {
  return reinterpret_cast<float*>(data);
}

TEST_F(HarnessTest, PassesWhatIsRight) {
  EXPECT_THAT(faults(row(OpKind::linear), linear_case()), IsEmpty());
  EXPECT_THAT(faults(row(OpKind::scale), scale_case()), IsEmpty());
}

TEST_F(HarnessTest, FindsASmallErrorEverywhere) {
  const Kernel kernel = spoilt(OpKind::scale, [](const Problem& p, const Binding& b) {
    for (int64_t i = 0; i < p.output.shape.elements(); ++i) floats(b.output)[i] *= 1.00001f;
  });
  EXPECT_THAT(faults(kernel, scale_case()), Contains(HasSubstr("differs by")));
}

TEST_F(HarnessTest, FindsOneWrongElementThatTheNormForgives) {
  const Case large = make_case(Scale{{2}, {0}}, {activations(DType::bf16, {1000, 1000})});
  Kernel kernel =
      spoilt(OpKind::scale, [](const Problem&, const Binding& b) { std::memset(b.output + 4000, 0x40, 2); });
  kernel.info.tolerance_half = 0.01;
  EXPECT_THAT(faults(kernel, large), testing::ElementsAre(HasSubstr("element 2000 is")));
}

TEST_F(HarnessTest, FindsNan) {
  const Kernel kernel =
      spoilt(OpKind::scale, [](const Problem&, const Binding& b) { floats(b.output)[3] = std::nanf(""); });
  EXPECT_THAT(faults(kernel, scale_case()), Contains(HasSubstr("element 3 is nan")));
}

TEST_F(HarnessTest, FindsUnwrittenOutput) {
  Kernel kernel = row(OpKind::to_rgb8);
  kernel.bind = [](const Problem&, const Binding&) -> Launch { return [](Queue&) {}; };
  const Case c = make_case(ToRgb8{}, {activations(DType::f32, {1, 2, 2, 3})});
  EXPECT_THAT(faults(kernel, c), Contains(HasSubstr("leaves output unwritten")));
}

TEST_F(HarnessTest, FindsWritesOutsideEveryBuffer) {
  const auto outside = [&](std::function<std::byte*(const Problem&, const Binding&)> where) {
    return faults(spoilt(OpKind::linear, [where](const Problem& p, const Binding& b) { *where(p, b) = std::byte{1}; }),
                  linear_case());
  };
  EXPECT_THAT(outside([](const Problem& p, const Binding& b) { return b.output + p.output.bytes(); }),
              Contains("writes outside the output"));
  EXPECT_THAT(outside([](const Problem&, const Binding& b) { return b.output - 1; }),
              Contains("writes outside the output"));
  EXPECT_THAT(outside([](const Problem& p, const Binding& b) { return b.inputs[1] + p.inputs[1].bytes(); }),
              Contains("writes outside input 1"));
  EXPECT_THAT(outside([](const Problem&, const Binding& b) { return b.workspace; }),
              Contains("writes outside the workspace"));
  EXPECT_THAT(outside([](const Problem&, const Binding& b) { return b.inputs[0]; }), Contains("changes input 0"));
}

TEST_F(HarnessTest, AllowsWritesInsideThePromisedWorkspace) {
  Kernel kernel = spoilt(OpKind::linear, [](const Problem&, const Binding& b) { b.workspace[9] = std::byte{1}; });
  kernel.info.workspace = [](const Problem&) -> size_t { return 10; };
  EXPECT_THAT(faults(kernel, linear_case()), IsEmpty());
  kernel.info.workspace = [](const Problem&) -> size_t { return 9; };
  EXPECT_THAT(faults(kernel, linear_case()), Contains("writes outside the workspace"));
}

TEST_F(HarnessTest, FindsResultsThatChangeFromRunToRun) {
  auto runs = std::make_shared<int>(0);
  const Kernel kernel = spoilt(OpKind::scale, [runs](const Problem&, const Binding& b) {
    floats(b.output)[0] *= 1 + static_cast<float>(++*runs) * 2e-7f;
  });
  EXPECT_THAT(faults(kernel, scale_case()), Contains(HasSubstr("the second time")));
}

TEST_F(HarnessTest, FindsWrongResultsInPlace) {
  Kernel kernel = spoilt(OpKind::scale, [](const Problem&, const Binding& b) {
    if (b.output == b.inputs[0]) floats(b.output)[0] = 0;
  });
  EXPECT_THAT(faults(kernel, scale_case()), testing::ElementsAre("gives another result in place"));
  kernel.info.in_place = false;
  EXPECT_THAT(faults(kernel, scale_case()), IsEmpty());
}

TEST_F(HarnessTest, FindsDataMoversThatChangeBits) {
  const Case c = make_case(Concat{}, {activations(DType::f32, {1, 2}), activations(DType::f32, {1, 2})});
  const Kernel kernel = spoilt(OpKind::concat, [](const Problem&, const Binding& b) { b.output[0] ^= std::byte{1}; });
  EXPECT_THAT(faults(kernel, c), Contains("moves data but changes it"));
}

TEST_F(HarnessTest, FindsPackingBeyondThePromise) {
  Kernel kernel = row(OpKind::linear);
  kernel.info.packed = [](const Problem& p, int input) -> KernelInfo::Packed {
    return {p.inputs[static_cast<size_t>(input)].bytes() - 1, "short"};
  };
  EXPECT_THAT(faults(kernel, linear_case()), Contains(HasSubstr("packs weight 1 beyond its 83 bytes")));
}

TEST_F(HarnessTest, FindsOneLayoutNameWithTwoMeanings) {
  Harness harness(*backend_, oracle_);
  Kernel kernel = row(OpKind::linear);
  EXPECT_THAT(harness.check(kernel, linear_case()).faults, IsEmpty());
  kernel.pack = [](const Problem& p, int input, std::span<const WeightPart> parts, std::byte* destination) {
    pack_plain(p.inputs[static_cast<size_t>(input)].dtype, parts, destination);
    destination[0] ^= std::byte{1};
  };
  EXPECT_THAT(harness.check(kernel, linear_case()).faults, Contains(HasSubstr("unlike another user of the layout")));
}

TEST_F(HarnessTest, FindsPackingThatReadsTwiceOrKeepsElements) {
  Kernel kernel = row(OpKind::linear);
  const auto pack = [](bool twice, bool give_back) {
    return [=](const Problem&, int, std::span<const WeightPart> parts, std::byte* destination) {
      for (const WeightPart& part : parts) {
        read(part, 0, part.elements, DType::f32, destination);
        if (twice) read(part, 1, 1, DType::f32, destination + sizeof(float));
        if (give_back) part.reader->done(0, part.elements);
        destination += part.elements * sizeof(float);
      }
    };
  };
  kernel.pack = pack(false, true);
  EXPECT_THAT(faults(kernel, linear_case()), IsEmpty());
  kernel.pack = pack(true, true);
  EXPECT_THAT(faults(kernel, linear_case()), Contains("of weight 1, reads element 1 2 times"));
  kernel.pack = pack(false, false);
  EXPECT_THAT(faults(kernel, linear_case()), Contains("of weight 1, gives element 0 back 0 times"));
}

TEST_F(HarnessTest, ReportsExceptionsAndRefusals) {
  Kernel kernel = row(OpKind::linear);
  kernel.bind = [](const Problem&, const Binding&) -> Launch { fail(ErrorCode::internal, "no such primitive"); };
  EXPECT_THAT(faults(kernel, linear_case()), testing::ElementsAre("throws \"no such primitive\""));
  kernel.info.refuse = [](const Problem&) { return "needs a moon"; };
  Harness harness(*backend_, oracle_);
  EXPECT_EQ(harness.check(kernel, linear_case()).refused, "needs a moon");
}

// A backend whose activate row differs by one bit from its fused rows.
class Deviant final : public HostBackend {
 public:
  explicit Deviant(std::vector<Kernel> kernels) : kernels_(std::move(kernels)) {
    target_.name = "deviant";
    for (const Kernel& kernel : kernels_) target_.kernels.push_back(&kernel.info);
  }
  std::string description() const override { return "deviant"; }
  std::span<const Kernel> kernels() const override { return kernels_; }
  const Target& target() const override { return target_; }

 private:
  std::vector<Kernel> kernels_;
  Target target_;
};

TEST_F(HarnessTest, ComparesFusedRowsWithTheirNodes) {
  const Case c =
      make_case(Linear{false, Activation::silu, true},
                {activations(DType::bf16, {5, 7}), parameters(DType::bf16, {3, 7}), activations(DType::bf16, {5, 3})});
  const auto check = [&](bool spoil, bool with_add, Numerics numerics) {
    std::vector<Kernel> kernels{row(OpKind::linear), row(OpKind::activate)};
    if (with_add) kernels.push_back(row(OpKind::add));
    kernels[0].info.numerics = numerics;
    if (spoil)
      kernels[1] = spoilt(OpKind::activate, [](const Problem&, const Binding& b) { b.output[0] ^= std::byte{8}; });
    Deviant backend(std::move(kernels));
    Harness harness(backend, oracle_);
    return harness.check_decomposed(backend.kernels()[0], c);
  };
  EXPECT_EQ(check(false, true, Numerics::rounding), "");
  EXPECT_THAT(check(true, true, Numerics::rounding), HasSubstr("claims to round as its nodes"));
  EXPECT_EQ(check(true, true, Numerics::approximate), "") << "nothing was claimed";
  EXPECT_EQ(check(true, false, Numerics::rounding), "") << "nothing to compare with";
}

}  // namespace
}  // namespace tempera
