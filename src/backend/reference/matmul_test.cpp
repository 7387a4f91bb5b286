// Convolutions and matrix products against sums computed by hand, and fused forms against the separate nodes.
#include <gmock/gmock.h>

#include "backend/reference/run_op.h"

namespace tempera {
namespace {
using testing::ElementsAre;
using testing::FloatNear;

constexpr DType kDTypes[] = {DType::f32, DType::f16, DType::bf16};

TEST(ReferenceLinear, IsXTimesWTransposedPlusBias) {
  const HostTensor x({2, 3}, {1, 2, 3, 4, 5, 6}), w({2, 3}, {1, 0, -1, 2, 2, 2}), bias({2}, {10, 20});
  EXPECT_THAT(run_op(Linear{false}, {x, w}).values(), ElementsAre(-2, 12, -2, 30));
  EXPECT_THAT(run_op(Linear{true}, {x, w, bias}).values(), ElementsAre(8, 32, 8, 50));
}

TEST(ReferenceLinear, TakesVectorsAndImages) {
  const HostTensor w({1, 2}, {1, 10});
  EXPECT_EQ(run_op(Linear{false}, {HostTensor({2}, {1, 2}), w}).desc, (TensorDesc{DType::f32, {1}}));
  EXPECT_THAT(run_op(Linear{false}, {HostTensor({1, 2, 1, 2}, {1, 2, 3, 4}), w}).values(), ElementsAre(21, 43));
}

TEST(ReferenceLinear, RoundsTheSumOnce) {
  // 1 + 2^-8 + 2^-8 is a bf16 number, but neither partial sum next to 1 is.
  const HostTensor x(DType::bf16, {1, 3}, {1, 0.00390625f, 0.00390625f}), w(DType::bf16, {1, 3}, {1, 1, 1});
  EXPECT_THAT(run_op(Linear{false}, {x, w}).values(), ElementsAre(1.0078125f));
  const HostTensor big(DType::f16, {1, 2}, {60000, 60000}), cancel(DType::f16, {1, 2}, {1, -1});
  EXPECT_THAT(run_op(Linear{false}, {big, cancel}).values(), ElementsAre(0));
}

TEST(ReferenceLinear, EpilogueEqualsItsNodes) {
  for (DType dtype : kDTypes)
    for (Activation a : {Activation::none, Activation::silu, Activation::gelu, Activation::quick_gelu, Activation::relu,
                         Activation::tanh})
      for (bool residual : {false, true}) {
        const HostTensor x = random_tensor(dtype, {2, 3, 7}, 1), w = random_tensor(dtype, {5, 7}, 2);
        const HostTensor bias = random_tensor(DType::f32, {5}, 3), r = random_tensor(dtype, {2, 3, 5}, 4);
        HostTensor nodes = run_op(Linear{true}, {x, w, bias});
        if (a != Activation::none) nodes = run_op(Activate{a}, {nodes});
        if (residual) nodes = run_op(Add{}, {nodes, r});
        std::vector<HostTensor> inputs{x, w, bias};
        if (residual) inputs.push_back(r);
        EXPECT_EQ(run_op(Linear{true, a, residual}, inputs).bytes, nodes.bytes) << to_string(nodes.desc) << name(a);
      }
}

TEST(ReferenceGegluLinear, IsTheGateOfALinear) {
  // y = (3, 1): 3 gelu(1).
  const HostTensor x({1, 1}, {1}), w({2, 1}, {3, 1});
  EXPECT_THAT(run_op(GegluLinear{false}, {x, w}).values(), ElementsAre(FloatNear(3 * 0.8413447461f, 1e-6f)));
  for (DType dtype : kDTypes)
    for (bool bias : {false, true}) {
      std::vector<HostTensor> inputs{random_tensor(dtype, {2, 3, 7}, 1), random_tensor(dtype, {10, 7}, 2)};
      if (bias) inputs.push_back(random_tensor(DType::f32, {10}, 3));
      const HostTensor nodes = run_op(GeluGate{}, {run_op(Linear{bias}, inputs)});
      EXPECT_EQ(run_op(GegluLinear{bias}, inputs).bytes, nodes.bytes) << to_string(nodes.desc);
    }
}

// 3 x 3 picture 1..9 of one channel. The taps of the kernel are powers of ten, so the digits show which pixel was
// multiplied by which tap.
const HostTensor kPicture({1, 3, 3, 1}, {1, 2, 3, 4, 5, 6, 7, 8, 9});

TEST(ReferenceConv2d, CorrelatesWithoutFlipping) {
  const HostTensor w({1, 1, 2, 2}, {1000, 100, 10, 1});
  EXPECT_THAT(run_op(Conv2d{2, 1, 0, 0, false}, {kPicture, w}).values(), ElementsAre(1245, 2356, 4578, 5689));
}

TEST(ReferenceConv2d, PadsAfterOnly) {
  // diffusers' VAE downsampler: (0, 1) and stride 2.
  const HostTensor w({1, 1, 2, 2}, {1000, 100, 10, 1});
  EXPECT_THAT(run_op(Conv2d{2, 2, 0, 1, false}, {kPicture, w}).values(), ElementsAre(1245, 3060, 7800, 9000));
}

TEST(ReferenceConv2d, PadsBeforeOnly) {
  const HostTensor w({1, 1, 2, 2}, {1000, 100, 10, 1});
  EXPECT_THAT(run_op(Conv2d{2, 2, 1, 0, false}, {kPicture, w}).values(), ElementsAre(1, 23, 407, 5689));
}

TEST(ReferenceConv2d, StrideTwoOfAThreeByThreeKernel) {
  const HostTensor w({1, 1, 3, 3}, std::vector<float>(9, 1));
  // Sums of the 2 x 2 corners.
  EXPECT_THAT(run_op(Conv2d{3, 2, 1, 1, false}, {kPicture, w}).values(), ElementsAre(12, 16, 24, 28));
}

TEST(ReferenceConv2d, MixesChannelsOfTwoPictures) {
  // (O, I, 1, 1) = [[1, 2], [3, 4], [5, 6]].
  const HostTensor x({2, 1, 1, 2}, {1, 10, 2, 20}), w({3, 2, 1, 1}, {1, 2, 3, 4, 5, 6}), bias({3}, {100, 200, 300});
  EXPECT_THAT(run_op(Conv2d{1, 1, 0, 0, true}, {x, w, bias}).values(), ElementsAre(121, 243, 365, 142, 286, 430));
}

TEST(ReferenceConv2d, OneByOneEqualsLinear) {
  for (DType dtype : kDTypes) {
    HostTensor x = random_tensor(dtype, {2, 3, 5, 7}, 1), w = random_tensor(dtype, {4, 7}, 2);
    const HostTensor bias = random_tensor(DType::f32, {4}, 3);
    const HostTensor linear = run_op(Linear{true}, {x, w, bias});
    w.desc.shape = Shape{4, 7, 1, 1};
    EXPECT_EQ(run_op(Conv2d{1, 1, 0, 0, true}, {x, w, bias}).bytes, linear.bytes);
  }
}

TEST(ReferenceConv2d, WithATailEqualsThatOfTheConcatenation) {
  for (DType dtype : kDTypes)
    for (bool bias : {false, true})
      for (bool residual : {false, true}) {
        const HostTensor x = random_tensor(dtype, {2, 3, 5, 7}, 1), tail = random_tensor(dtype, {2, 3, 5, 4}, 2);
        const HostTensor w = random_tensor(dtype, {6, 11, 1, 1}, 3);
        std::vector<HostTensor> whole{run_op(Concat{}, {x, tail}), w}, parts{x, w};
        for (auto* inputs : {&whole, &parts}) {
          if (bias) inputs->push_back(random_tensor(DType::f32, {6}, 4));
          if (inputs == &parts) inputs->push_back(tail);
          if (residual) inputs->push_back(random_tensor(dtype, {2, 3, 5, 6}, 5));
        }
        Conv2d op{1, 1, 0, 0, bias, Activation::none, residual};
        const HostTensor expected = run_op(op, whole);
        op.tail = true;
        EXPECT_EQ(run_op(op, parts).bytes, expected.bytes) << name(dtype);
      }
}

TEST(ReferenceConv2d, EpilogueEqualsItsNodes) {
  for (DType dtype : kDTypes)
    for (Activation a : {Activation::none, Activation::silu, Activation::relu}) {
      const HostTensor x = random_tensor(dtype, {2, 4, 3, 5}, 1), w = random_tensor(dtype, {6, 5, 3, 3}, 2);
      const HostTensor bias = random_tensor(DType::f32, {6}, 3), r = random_tensor(dtype, {2, 4, 3, 6}, 4);
      HostTensor nodes = run_op(Conv2d{}, {x, w, bias});
      if (a != Activation::none) nodes = run_op(Activate{a}, {nodes});
      nodes = run_op(Add{}, {nodes, r});
      EXPECT_EQ(run_op(Conv2d{3, 1, 1, 1, true, a, true}, {x, w, bias, r}).bytes, nodes.bytes) << name(a);
    }
}

}  // namespace
}  // namespace tempera
