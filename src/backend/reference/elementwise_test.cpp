// Elementwise ops, lookups and sampler ops against values computed by hand or known in closed form.
#include <gmock/gmock.h>

#include <cmath>
#include <limits>

#include "backend/reference/run_op.h"
#include "base/error.h"

namespace tempera {
namespace {
using testing::ElementsAre;
using testing::FloatNear;
using testing::Pointwise;

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

TEST(ReferenceActivate, MatchesKnownValues) {
  const HostTensor x({4}, {-1, 0, 1, 20});
  const auto at = [&](Activation a, const std::vector<float>& expected) {
    EXPECT_THAT(run_op(Activate{a}, {x}).values(), Pointwise(FloatNear(1e-6f), expected)) << name(a);
    EXPECT_THAT(run_op(Activate{a}, {x}, true).values(), Pointwise(FloatNear(1e-6f), expected)) << "in place";
  };
  at(Activation::none, {-1, 0, 1, 20});
  at(Activation::silu, {-0.268941421f, 0, 0.731058579f, 20 - 4.1223e-8f});
  at(Activation::gelu, {-0.158655254f, 0, 0.841344746f, 20});  // x times the normal distribution function
  at(Activation::quick_gelu, {-0.154204f, 0, 0.845796f, 20});
  at(Activation::relu, {0, 0, 1, 20});
  at(Activation::tanh, {-0.761594156f, 0, 0.761594156f, 1});
}

TEST(ReferenceActivate, FarValuesStayFinite) {
  const HostTensor x({2}, {-1e4f, 1e4f});
  for (Activation a : {Activation::silu, Activation::gelu, Activation::quick_gelu})
    EXPECT_THAT(run_op(Activate{a}, {x}).values(), ElementsAre(FloatNear(0, 0), 1e4f)) << name(a);
}

TEST(ReferenceAdd, Broadcasts) {
  const HostTensor x({2, 2, 1, 2}, {1, 2, 3, 4, 5, 6, 7, 8});
  EXPECT_THAT(run_op(Add{}, {x, x}).values(), ElementsAre(2, 4, 6, 8, 10, 12, 14, 16));
  EXPECT_THAT(run_op(Add{}, {x, HostTensor({2, 1, 1, 2}, {10, 20, 30, 40})}).values(),
              ElementsAre(11, 22, 13, 24, 35, 46, 37, 48));
  EXPECT_THAT(run_op(Add{}, {x, HostTensor({1, 2, 1, 1}, {10, 20})}).values(),
              ElementsAre(11, 12, 23, 24, 15, 16, 27, 28));
  EXPECT_THAT(run_op(Add{}, {x, HostTensor({1, 1, 1, 1}, {10})}, true).values(),
              ElementsAre(11, 12, 13, 14, 15, 16, 17, 18));
  const HostTensor tokens({2, 1, 2}, {1, 2, 3, 4});
  EXPECT_THAT(run_op(Add{}, {tokens, HostTensor({1, 1, 2}, {10, 20})}).values(), ElementsAre(11, 22, 13, 24));
}

TEST(ReferenceAdd, RoundsToTheDType) {
  const HostTensor one(DType::bf16, {3}, {1, 1, 1}), x(DType::bf16, {3}, {0.00390625f, 0.005859375f, 0.01171875f});
  // Ties are rounded to the even neighbour.
  EXPECT_THAT(run_op(Add{}, {one, x}).values(), ElementsAre(1, 1.0078125f, 1.015625f));
}

TEST(ReferenceScale, IsFactorTimesXPlusOffset) {
  EXPECT_THAT(run_op(Scale{{0.5f}, {3}}, {HostTensor({2}, {2, -4})}, true).values(), ElementsAre(4, 1));
  EXPECT_THAT(run_op(Scale{{0.5f, 2}, {3, -1}}, {HostTensor({2, 2}, {2, -4, 6, 8})}, true).values(),
              ElementsAre(4, -9, 6, 15));
}

TEST(ReferenceCast, RoundsToNearestEvenAndKeepsSpecials) {
  const HostTensor x({5}, {1.00390625f, 1.01171875f, 1e5f, -kInfinity, 2});
  EXPECT_THAT(run_op(Cast{DType::bf16}, {x}).values(), ElementsAre(1, 1.015625f, 99840, -kInfinity, 2));
  EXPECT_THAT(run_op(Cast{DType::f16}, {x}).values(), ElementsAre(1.00390625f, 1.01171875f, kInfinity, -kInfinity, 2));
  const HostTensor half(DType::f16, {2}, {65504, 5.9604645e-8f});
  EXPECT_THAT(run_op(Cast{DType::f32}, {half}).values(), ElementsAre(65504, 5.9604645e-8f));
  EXPECT_THAT(run_op(Cast{DType::bf16}, {half}, true).values(), ElementsAre(65536, 5.9604645e-8f));
}

TEST(ReferenceGeluGate, GatesTheFirstHalfByTheSecond) {
  const HostTensor x({2, 4}, {2, 3, 0, 1, 5, 6, 20, -20});
  EXPECT_THAT(run_op(GeluGate{}, {x}).values(),
              Pointwise(FloatNear(1e-5f), std::vector<float>{0, 3 * 0.841344746f, 100, 0}));
}

TEST(ReferenceConcat, JoinsChannels) {
  const HostTensor a({2, 1, 1, 1}, {1, 2}), b({2, 1, 1, 2}, {3, 4, 5, 6});
  EXPECT_THAT(run_op(Concat{}, {a, b}).values(), ElementsAre(1, 3, 4, 2, 5, 6));
}

TEST(ReferenceUpsample2x, RepeatsPixels) {
  const HostTensor x({2, 1, 2, 2}, {1, 2, 3, 4, 5, 6, 7, 8});
  EXPECT_THAT(run_op(Upsample2x{}, {x}).values(), ElementsAre(1, 2, 1, 2, 3, 4, 3, 4, 1, 2, 1, 2, 3, 4, 3, 4,  //
                                                              5, 6, 5, 6, 7, 8, 7, 8, 5, 6, 5, 6, 7, 8, 7, 8));
}

TEST(ReferenceUpsample2x, DropsTheLastRowOrColumnOfAnOddTarget) {
  const HostTensor x({2, 2, 2, 1}, {1, 2, 3, 4, 5, 6, 7, 8});
  EXPECT_THAT(run_op(Upsample2x{true, false}, {x}).values(),
              ElementsAre(1, 1, 2, 2, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 5, 5, 6, 6, 7, 7, 8, 8));
  EXPECT_THAT(run_op(Upsample2x{false, true}, {x}).values(),
              ElementsAre(1, 1, 2, 1, 1, 2, 3, 3, 4, 3, 3, 4, 5, 5, 6, 5, 5, 6, 7, 7, 8, 7, 7, 8));
  EXPECT_THAT(run_op(Upsample2x{true, true}, {x}).values(),
              ElementsAre(1, 1, 2, 1, 1, 2, 3, 3, 4, 5, 5, 6, 5, 5, 6, 7, 7, 8));
}

TEST(ReferenceToRgb8, MapsMinusOneToOneOntoBytes) {
  // 1/255 * k * 2 - 1 is byte k. Ties (half a byte) are rounded to even. NaN is black.
  const HostTensor x({1, 1, 2, 4}, {-1, 1, 0, -5, 5, kNan, 1.0f / 255 * 2 * 77 - 1, kInfinity});
  const HostTensor out = run_op(ToRgb8{}, {x});
  EXPECT_EQ(out.desc, (TensorDesc{DType::u8, {1, 1, 2, 4}}));
  EXPECT_THAT(out.values(), ElementsAre(0, 255, 128, 0, 255, 0, 77, 255));
}

TEST(ReferenceEmbed, PicksRows) {
  const HostTensor table(DType::bf16, {3, 2}, {1, 2, 3, 4, 5, 6});
  const auto look_up = [&](const std::vector<float>& ids) {
    return run_op(Embed{}, {HostTensor(DType::i32, {1, 3}, ids), table}).values();
  };
  EXPECT_THAT(look_up({2, 0, 2}), ElementsAre(5, 6, 1, 2, 5, 6));
  for (float bad : {3.0f, -1.0f, 2e9f}) {
    EXPECT_THROW(look_up({0, 0, bad}), Error) << bad;
  }
}

TEST(ReferenceEmbed, PicksExtraRowsAfterThoseOfTheTable) {
  const HostTensor table(DType::f16, {2, 2}, {1, 2, 3, 4}), extra(DType::f16, {3, 2}, {5, 6, 7, 8, 9, 10});
  const auto look_up = [&](const std::vector<float>& ids) {
    return run_op(Embed{true}, {HostTensor(DType::i32, {1, 4}, ids), table, extra}).values();
  };
  EXPECT_THAT(look_up({4, 1, 2, 0}), ElementsAre(9, 10, 3, 4, 5, 6, 1, 2));
  EXPECT_THROW(look_up({0, 0, 0, 5}), Error);
}

TEST(ReferenceGatherRow, PicksOneRowPerPicture) {
  const HostTensor x({2, 2, 2}, {1, 2, 3, 4, 5, 6, 7, 8});
  EXPECT_THAT(run_op(GatherRow{}, {x, HostTensor(DType::i32, {2}, {1, 0})}).values(), ElementsAre(3, 4, 5, 6));
  EXPECT_THROW(run_op(GatherRow{}, {x, HostTensor(DType::i32, {2}, {1, 2})}), Error);
  EXPECT_THROW(run_op(GatherRow{}, {x, HostTensor(DType::i32, {2}, {-1, 0})}), Error);
}

TEST(ReferenceTimestepEmbedding, IsSinesOfFallingFrequencies) {
  const HostTensor t({1, 2}, {0, 10});
  // dim 4: frequencies 1 and 10000^(-1/2) = 1/100; with shift 1 the last is 1/10000.
  const auto s = [](double x) { return static_cast<float>(std::sin(x)); };
  const auto c = [](double x) { return static_cast<float>(std::cos(x)); };
  const auto near = [](const std::vector<float>& expected) { return Pointwise(FloatNear(1e-6f), expected); };
  EXPECT_THAT(run_op(TimestepEmbedding{4, true, 0}, {t}).values(), near({1, 1, 0, 0, c(10), c(0.1), s(10), s(0.1)}));
  EXPECT_THAT(run_op(TimestepEmbedding{4, false, 0}, {t}).values(), near({0, 0, 1, 1, s(10), s(0.1), c(10), c(0.1)}));
  EXPECT_THAT(run_op(TimestepEmbedding{4, true, 1}, {t}).values(),
              near({1, 1, 0, 0, c(10), c(0.001), s(10), s(0.001)}));
}

// A picture's coefficients.
struct StepRow {
  std::vector<float> update = {};
  float input_scale = 1, guidance = 1, rescale = 0;
  // The slot of the picture, its factors of sample and prediction, the ratio and the largest range.
  std::vector<float> threshold = {0, 0, 0, 0, 0};
  std::vector<float> blend = {0, 0, 0};  // threshold, factors of the original picture and of the noise
};

// Their updates have `slots` slots, with zeros for a missing one.
HostTensor steps(int slots, const std::vector<StepRow>& rows) {
  const int64_t length = StepLayout::length(slots);
  std::vector<float> all;
  for (const StepRow& row : rows) {
    all.insert(all.end(), {row.input_scale, row.guidance, row.rescale});
    all.insert(all.end(), row.threshold.begin(), row.threshold.end());
    all.insert(all.end(), row.blend.begin(), row.blend.end());
    all.insert(all.end(), row.update.begin(), row.update.end());
    all.resize((all.size() + static_cast<size_t>(length) - 1) / static_cast<size_t>(length) *
               static_cast<size_t>(length));
  }
  return {{static_cast<int64_t>(rows.size()), length}, all};
}

TEST(ReferenceBranchRows, RepeatsTheGuidedPicturesInFront) {
  const HostTensor x(DType::bf16, {3, 2}, {1, 2, 3, 4, 5, 6});
  EXPECT_THAT(run_op(BranchRows{2}, {x}).values(), ElementsAre(1, 2, 3, 4, 1, 2, 3, 4, 5, 6));
  EXPECT_THAT(run_op(BranchRows{0}, {x}).values(), ElementsAre(1, 2, 3, 4, 5, 6));
}

TEST(ReferenceModelInput, ScalesTheFirstSlotIntoBranches) {
  // Two pictures of two slots: (1, 2), (3, 4); only the first is guided.
  const HostTensor state({2, 2, 1, 2}, {1, 2, 9, 9, 3, 4, 9, 9});
  const HostTensor step = steps(2, {{.input_scale = 0.5f}, {.input_scale = 2}});
  const HostTensor out = run_op(ModelInput{1, 2, DType::f16}, {state, step});
  EXPECT_EQ(out.desc, (TensorDesc{DType::f16, {3, 1, 1, 2}}));
  EXPECT_THAT(out.values(), ElementsAre(0.5f, 1, 0.5f, 1, 6, 8));
  EXPECT_THAT(run_op(ModelInput{0, 2, DType::f32}, {state, step}).values(), ElementsAre(0.5f, 1, 6, 8));
  EXPECT_THAT(run_op(ModelInput{2, 2, DType::f32}, {state, step}).values(), ElementsAre(0.5f, 1, 6, 8, 0.5f, 1, 6, 8));
}

TEST(ReferenceThresholdSample, LimitsThePictureToItsQuantile) {
  // Three pictures of two slots. The predicted picture is 2 x - p.
  const HostTensor state({3, 2, 1, 4}, {1, 2, 3, 4, 9, 9, 9, 9, 1, 2, 3, 4, 8, 8, 8, 8, 0.5f, 0, 0, 0, 7, 7, 7, 7});
  const HostTensor prediction({3, 1, 1, 4}, {0, 8, 0, 9, 0, 8, 0, 9, 0, 0, 0, 0});
  const HostTensor step = steps(2, {{.threshold = {1, 2, -1, 0.5f, 100}},    // magnitudes 1 2 4 6, quantile 3
                                    {.threshold = {1, 2, -1, 1, 2.5f}},      // quantile 6, at most 2.5
                                    {.threshold = {1, 2, -1, 0.9f, 100}}});  // quantile below 1
  const std::vector<float> found = run_op(ThresholdSample{2}, {state, prediction, step}).values();
  const float third = 2.0f / 3;
  EXPECT_THAT(found, Pointwise(FloatNear(1e-6f), std::vector<float>{1,    2, 3, 4, third, -1, 1, -third / 2,  //
                                                                    1,    2, 3, 4, 0.8f,  -1, 1, -0.4f,       //
                                                                    0.5f, 0, 0, 0, 1,     0,  0, 0}));
  // Slot 0 as the place means no thresholding.
  EXPECT_THAT(run_op(ThresholdSample{2}, {state, prediction, steps(2, {{}, {}, {}})}).values(),
              testing::ElementsAreArray(state.values()));
}

TEST(ReferenceGuidance, ExtrapolatesFromUnconditionalToConditional) {
  const HostTensor x(DType::bf16, {4, 1, 1, 1}, {1, 10, 2, 14});
  const HostTensor out = run_op(Guidance{2}, {x, steps(1, {{{}, 1, 7.5f, 0.7f}, {{}, 1, 2, 0.7f}})});
  EXPECT_EQ(out.desc.dtype, DType::f32);
  EXPECT_THAT(out.values(), ElementsAre(8.5f, 18));
}

TEST(ReferenceGuidance, LeavesUnguidedPicturesAsTheyAre) {
  const HostTensor x({4, 1, 1, 1}, {1, 2, -0.0f, 14});
  const HostTensor out = run_op(Guidance{1, true}, {x, steps(1, {{{}, 1, 3}, {{}, 1, 3, 0.5f}, {{}, 1, 3, 0.5f}})});
  EXPECT_THAT(out.values(), ElementsAre(4, 0, 14));
  EXPECT_TRUE(std::signbit(out.values()[1]));
}

TEST(ReferenceGuidance, RescalesTheDeviationOfEachPicture) {
  // Picture 0: c = (1, -1), u = 0, g = 4, so the guided deviation is 4 times that of c: at amount 1 it becomes c, at
  // 0.5 the middle of c and 4 c. Picture 1: c = u, nothing changes. Both have a mean of 0.
  const HostTensor x({4, 1, 1, 2}, {0, 0, 3, -3, 1, -1, 3, -3});
  const auto rescaled = [&](float first, float second) {
    return run_op(Guidance{2, true}, {x, steps(1, {{{}, 1, 4, first}, {{}, 1, 4, second}})}).values();
  };
  EXPECT_THAT(rescaled(1, 1), ElementsAre(1, -1, 3, -3));
  EXPECT_THAT(rescaled(0.5f, 1), ElementsAre(2.5f, -2.5f, 3, -3));
  EXPECT_THAT(rescaled(0, 1), ElementsAre(4, -4, 3, -3));
}

TEST(ReferenceGuidance, DoesNotRescaleByAnAmountOfZero) {
  // Both deviations are 0: their quotient is not a number.
  const HostTensor x({2, 1, 1, 2}, {1, 1, 3, 3});
  EXPECT_THAT(run_op(Guidance{1, true}, {x, steps(1, {{{}, 1, 2, 0}})}).values(), ElementsAre(5, 5));
}

TEST(ReferenceSamplerUpdate, MixesSlotsPredictionAndNoise) {
  // One picture of one element, two slots: a = 1, b = 2, prediction 3, noise 4.
  const std::vector<HostTensor> inputs{HostTensor({1, 2, 1, 1}, {1, 2}), HostTensor(DType::bf16, {1, 1, 1, 1}, {3}),
                                       HostTensor({1, 1, 1, 1}, {4}), steps(2, {{{1, 10, 100, 1000, 0, 1, 2, 0}}})};
  EXPECT_THAT(run_op(SamplerUpdate{2}, inputs).values(), ElementsAre(4321, 8));
  EXPECT_THAT(run_op(SamplerUpdate{2}, inputs, true).values(), ElementsAre(4321, 8)) << "in place";
}

TEST(ReferenceSamplerUpdate, HasOneUpdateForEachPicture) {
  // Picture 0 swaps its slots. Picture 1 doubles its first and adds the prediction to its second.
  const HostTensor state({2, 2, 1, 1}, {1, 2, 3, 4}), prediction({2, 1, 1, 1}, {5, 6}), zero({2, 1, 1, 1}, {0, 0});
  const HostTensor step = steps(2, {{{0, 1, 0, 0, 1, 0, 0, 0}}, {{2, 0, 0, 0, 0, 0, 1, 0}}});
  EXPECT_THAT(run_op(SamplerUpdate{2}, {state, prediction, zero, step}, true).values(), ElementsAre(2, 1, 6, 6));
}

TEST(ReferenceBlendMask, KeepsTheOriginalBelowTheThreshold) {
  // Pictures of two pixels of two channels and two slots. The first keeps one pixel, the second has no mask, and the
  // third keeps both: a mask equal to the threshold is free.
  const HostTensor state({3, 4, 1, 2}, {1, 2, 3, 4, 9, 9, 9, 9, 5, 6, 7, 8, 9, 9, 9, 9, 1, 2, 3, 4, 9, 9, 9, 9});
  const HostTensor original({3, 2, 1, 2}, {10, 20, 30, 40, 50, 60, 70, 80, 10, 20, 30, 40});
  const HostTensor noise({3, 2, 1, 2}, {1, 2, 3, 4, 1, 2, 3, 4, 1, 2, 3, 4});
  const HostTensor mask({3, 2, 1, 1}, {0.5f, 0.25f, 0, 0, 0.5f, 0.75f});
  const HostTensor step = steps(2, {{.blend = {0.5f, 2, 100}}, {.blend = {0, 2, 100}}, {.blend = {1, 1, 0}}});
  for (const bool in_place : {false, true})
    EXPECT_THAT(run_op(BlendMask{2}, {state, original, noise, mask, step}, in_place).values(),
                ElementsAre(1, 2, 360, 480, 9, 9, 9, 9, 5, 6, 7, 8, 9, 9, 9, 9, 10, 20, 30, 40, 9, 9, 9, 9));
}

TEST(ReferenceBackend, RefusesWhatItCannotRead) {
  const auto backend = make_reference_backend();
  const TensorDesc whole{DType::i32, {2}}, number{DType::f32, {2}};
  EXPECT_TRUE(kernel_for(*backend, Activate{}).info.refuse({Activate{}, {whole}, whole}));
  EXPECT_TRUE(kernel_for(*backend, Cast{}).info.refuse({Cast{DType::i8}, {number}, {DType::i8, {2}}}));
  EXPECT_FALSE(kernel_for(*backend, Cast{}).info.refuse({Cast{DType::bf16}, {number}, {DType::bf16, {2}}}));
  const TensorDesc ids{DType::i32, {1, 2}}, table{DType::f16, {3, 4}};
  EXPECT_FALSE(kernel_for(*backend, Embed{}).info.refuse({Embed{}, {ids, table}, {DType::f16, {1, 2, 4}}}));
  EXPECT_TRUE(kernel_for(*backend, Embed{}).info.refuse({Embed{}, {ids, ids}, {DType::i32, {1, 2, 2}}}));
  SamplerUpdate update{17};
  const TensorDesc state{DType::f32, {1, 17, 1, 1}}, one{DType::f32, {1, 1, 1, 1}};
  EXPECT_TRUE(kernel_for(*backend, update)
                  .info.refuse({update, {state, one, one, {DType::f32, {1, StepLayout::length(17)}}}, state}));
}

TEST(ReferenceBackend, HasOneRowForEveryOpThatComputes) {
  const auto backend = make_reference_backend();
  std::vector<int> rows(std::variant_size_v<Op>);
  for (const Kernel& kernel : backend->kernels()) ++rows[static_cast<size_t>(kernel.info.op)];
  for (size_t kind = 0; kind < rows.size(); ++kind) {
    const auto op = static_cast<OpKind>(kind);
    const bool computes = op != OpKind::input && op != OpKind::weight && op != OpKind::view;
    EXPECT_EQ(rows[kind], computes ? 1 : 0) << name(op);
  }
}

TEST(ReferenceBackend, MemoryIsAlignedAndCopied) {
  const auto backend = make_reference_backend();
  const auto queue = backend->make_queue();
  for (size_t bytes : {size_t{1}, size_t{1000}}) {
    const auto buffer = backend->allocate(bytes);
    EXPECT_EQ(buffer->size(), bytes);
    EXPECT_EQ(reinterpret_cast<uintptr_t>(buffer->data()) % backend->target().alignment, 0u);
    const std::vector<std::byte> sent(bytes, std::byte{7});
    std::vector<std::byte> received(bytes);
    backend->upload(*queue, buffer->data(), sent);
    backend->download(*queue, received, buffer->data());
    EXPECT_EQ(received, sent);
  }
  EXPECT_THROW(backend->allocate(size_t{1} << 62), Error);
}

}  // namespace
}  // namespace tempera
