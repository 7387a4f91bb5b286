// Norms and attention against closed forms, and packed and fused forms against the plain ones.
#include <gmock/gmock.h>

#include <cmath>

#include "backend/reference/run_op.h"

namespace tempera {
namespace {
using testing::Each;
using testing::ElementsAre;
using testing::FloatNear;
using testing::Pointwise;

constexpr DType kDTypes[] = {DType::f32, DType::f16, DType::bf16};
constexpr float kError = 2e-6f;

TEST(ReferenceGroupNorm, CentersEachGroupOfEachPicture) {
  // Two groups of two channels over two pixels; every group is (a, a + 2, a + 4, a + 6) in some order: variance 5.
  const HostTensor x({2, 1, 2, 4}, {0, 2, 10, 12, 4, 6, 14, 16, 7, 1, 3, 9, 5, 3, 7, 5});
  const HostTensor gamma({4}, {1, 1, 2, 2}), beta({4}, {0, 0, 100, 100});
  const float s = 1 / std::sqrt(5.0f);
  EXPECT_THAT(run_op(GroupNorm{2, 0}, {x, gamma, beta}).values(),
              Pointwise(FloatNear(2e-5f),
                        std::vector<float>{-3 * s, -s, 100 - 6 * s, 100 - 2 * s, s, 3 * s, 100 + 2 * s, 100 + 6 * s,
                                           3 * s, -3 * s, 100 - 6 * s, 100 + 6 * s, s, -s, 100 + 2 * s, 100 - 2 * s}));
}

TEST(ReferenceGroupNorm, EpsilonIsAddedToTheVariance) {
  const HostTensor x({1, 2, 1, 1}, {-1, 1}), gamma({1}, {1}), beta({1}, {0});
  EXPECT_THAT(run_op(GroupNorm{1, 3}, {x, gamma, beta}).values(), ElementsAre(-0.5f, 0.5f));
  EXPECT_THAT(run_op(GroupNorm{1, 1e-5f}, {HostTensor({1, 2, 1, 1}, {7, 7}), gamma, beta}).values(), Each(0.0f));
}

TEST(ReferenceGroupNorm, SmallDeviationsOnALargeMeanSurvive) {
  const HostTensor x({1, 4, 1, 1}, {4096, 4097, 4098, 4099}), gamma({1}, {1}), beta({1}, {0});
  const float s = 1 / std::sqrt(1.25f);
  EXPECT_THAT(run_op(GroupNorm{1, 0}, {x, gamma, beta}).values(),
              Pointwise(FloatNear(kError), std::vector<float>{-1.5f * s, -0.5f * s, 0.5f * s, 1.5f * s}));
}

TEST(ReferenceGroupNorm, ShiftAndActivationEqualTheirNodes) {
  for (DType dtype : kDTypes)
    for (bool in_place : {false, true}) {
      const HostTensor x = random_tensor(dtype, {2, 3, 5, 6}, 1), shift = random_tensor(dtype, {2, 1, 1, 6}, 2);
      const HostTensor gamma = random_tensor(DType::f32, {6}, 3), beta = random_tensor(DType::f32, {6}, 4);
      const HostTensor norm = run_op(GroupNorm{3}, {run_op(Add{}, {x, shift}), gamma, beta});
      const HostTensor nodes = run_op(Activate{Activation::silu}, {norm});
      EXPECT_EQ(run_op(GroupNorm{3, 1e-5f, Activation::silu, true}, {x, gamma, beta, shift}, in_place).bytes,
                nodes.bytes);
    }
}

// Joins tensors along the channels.
HostTensor join(const HostTensor& a, const HostTensor& b) {
  return run_op(Concat{}, {a, b});
}

TEST(ReferenceGroupNorm, WithATailEqualsThatOfTheConcatenation) {
  for (DType dtype : kDTypes)
    for (bool shift : {false, true}) {
      // The second of three groups is in both.
      const HostTensor x = random_tensor(dtype, {2, 3, 5, 7}, 1), tail = random_tensor(dtype, {2, 3, 5, 5}, 2);
      const HostTensor gamma = random_tensor(DType::f32, {12}, 3), beta = random_tensor(DType::f32, {12}, 4);
      GroupNorm op{3, 1e-5f, Activation::silu, shift};
      std::vector<HostTensor> whole{join(x, tail), gamma, beta}, parts{x, gamma, beta};
      for (auto* inputs : {&whole, &parts})
        if (shift) inputs->push_back(random_tensor(dtype, {2, 1, 1, 12}, 5));
      const HostTensor expected = run_op(op, whole);
      parts.push_back(tail);
      op.tail = true;
      EXPECT_EQ(run_op(op, parts).bytes, expected.bytes) << name(dtype);
    }
}

TEST(ReferenceLayerNorm, CentersEachRow) {
  const HostTensor x({2, 1, 4}, {0, 2, 4, 6, 4, 4, 4, 4}), gamma({4}, {1, 2, 3, 4}), beta({4}, {0, 0, 0, 1});
  const float s = 1 / std::sqrt(5.0f);
  for (bool in_place : {false, true})
    EXPECT_THAT(run_op(LayerNorm{0.0f}, {HostTensor({1, 1, 4}, {0, 2, 4, 6}), gamma, beta}, in_place).values(),
                Pointwise(FloatNear(kError), std::vector<float>{-3 * s, -2 * s, 3 * s, 12 * s + 1}));
  EXPECT_THAT(run_op(LayerNorm{1e-5f}, {HostTensor({4}, {4, 4, 4, 4}), gamma, beta}).values(), ElementsAre(0, 0, 0, 1));
}

TEST(ReferenceAttention, WeighsValuesBySoftmaxOfScaledProducts) {
  // Scores ln 1, ln 3: weights 1/4 and 3/4.
  const HostTensor q({1, 1, 1}, {2}), k({1, 2, 1}, {0, std::log(3.0f)}), v({1, 2, 1}, {8, 16});
  EXPECT_THAT(run_op(Attention{1, 0.5f}, {q, k, v}).values(), ElementsAre(FloatNear(14, 1e-5f)));
}

TEST(ReferenceAttention, HeadsAreApart) {
  // Two heads of one channel: the first attends to token 0, the second to token 1 (a difference of 200 in the score).
  const HostTensor q({1, 1, 2}, {100, 100}), k({1, 2, 2}, {1, -1, -1, 1}), v({1, 2, 2}, {1, 2, 3, 4});
  EXPECT_THAT(run_op(Attention{2, 1}, {q, k, v}).values(), ElementsAre(1, 4));
}

TEST(ReferenceAttention, CausalSeesNoLaterKeys) {
  // Equal scores: the mean of the values so far.
  const HostTensor zero({1, 3, 1}, {0, 0, 0}), v({1, 3, 1}, {3, 5, 10});
  EXPECT_THAT(run_op(Attention{1, 1, true}, {zero, zero, v}).values(), ElementsAre(3, 4, 6));
  EXPECT_THAT(run_op(Attention{1, 1, false}, {zero, zero, v}).values(), ElementsAre(6, 6, 6));
}

TEST(ReferenceAttention, LargeScoresDoNotOverflow) {
  const HostTensor q({1, 1, 1}, {1e4f}), k({1, 2, 1}, {1, 1.1f}), v({1, 2, 1}, {1, 2});
  EXPECT_THAT(run_op(Attention{1, 1}, {q, k, v}).values(), ElementsAre(2));
}

TEST(ReferenceAttention, PackedFormsEqualTheSeparateOne) {
  for (DType dtype : kDTypes)
    for (bool causal : {false, true}) {
      const HostTensor q = random_tensor(dtype, {2, 5, 12}, 1), k = random_tensor(dtype, {2, 5, 12}, 2);
      const HostTensor v = random_tensor(dtype, {2, 5, 12}, 3);
      Attention op{3, 0.5f, causal};
      const HostTensor separate = run_op(op, {q, k, v});
      op.packing = Attention::Packing::qkv;
      EXPECT_EQ(run_op(op, {join(join(q, k), v)}).bytes, separate.bytes);
      op.packing = Attention::Packing::q_kv;
      EXPECT_EQ(run_op(op, {q, join(k, v)}).bytes, separate.bytes);
    }
}

TEST(ReferenceAttention, CrossAttentionHasItsOwnLength) {
  const HostTensor q = random_tensor(DType::f32, {2, 3, 4}, 1), k = random_tensor(DType::f32, {2, 1, 4}, 2);
  const HostTensor v({2, 1, 4}, {1, 2, 3, 4, 5, 6, 7, 8});
  // One key has all the weight.
  EXPECT_THAT(run_op(Attention{2, 1}, {q, k, v}).values(),
              ElementsAre(1, 2, 3, 4, 1, 2, 3, 4, 1, 2, 3, 4, 5, 6, 7, 8, 5, 6, 7, 8, 5, 6, 7, 8));
}

}  // namespace
}  // namespace tempera
