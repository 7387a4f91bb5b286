#include "sampling/rng.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

namespace tempera {
namespace {

std::vector<float> draw(Generator& generator, size_t n) {
  std::vector<float> values(n);
  generator.normal(values);
  return values;
}

class EveryGenerator : public testing::TestWithParam<Rng> {};

TEST_P(EveryGenerator, IsNormalAndDependsOnTheSeed) {
  const std::vector<float> values = draw(*make_generator(GetParam(), 3), 100003);
  double sum = 0;
  double squares = 0;
  for (const float v : values) {
    ASSERT_TRUE(std::isfinite(v));
    sum += static_cast<double>(v);
    squares += static_cast<double>(v) * static_cast<double>(v);
  }
  EXPECT_NEAR(sum / 100003, 0, 0.02);
  EXPECT_NEAR(squares / 100003, 1, 0.02);
  EXPECT_EQ(values, draw(*make_generator(GetParam(), 3), 100003));
  EXPECT_NE(values, draw(*make_generator(GetParam(), 4), 100003));
}

TEST_P(EveryGenerator, DrawingNothingChangesNothing) {
  const auto generator = make_generator(GetParam(), 3);
  draw(*generator, 0);
  EXPECT_EQ(draw(*generator, 20), draw(*make_generator(GetParam(), 3), 20));
}

INSTANTIATE_TEST_SUITE_P(All, EveryGenerator, testing::Values(Rng::cpu, Rng::cuda));

TEST(CudaGenerator, TheCardMattersOnlyForLongTensors) {
  const CudaDevice small{.multiprocessors = 2, .threads_per_multiprocessor = 1536};
  EXPECT_EQ(draw(*make_generator(Rng::cuda, 5, small), 3072), draw(*make_generator(Rng::cuda, 5), 3072));
  EXPECT_NE(draw(*make_generator(Rng::cuda, 5, small), 3073), draw(*make_generator(Rng::cuda, 5), 3073));
}

TEST(PhiloxStream, CountsWhatEveryThreadUses) {
  PhiloxStream stream(7, {.multiprocessors = 2, .threads_per_multiprocessor = 1536});
  const auto expect = [&](uint64_t elements, uint64_t counter, uint64_t threads) {
    const PhiloxDraw draw = stream.next(elements);
    EXPECT_EQ(draw.seed, 7u);
    EXPECT_EQ(draw.counter, counter) << elements;
    EXPECT_EQ(draw.threads, threads) << elements;
  };
  expect(1, 0, 256);
  expect(257, 1, 512);
  expect(3072 * 4, 2, 3072);
  expect(3072 * 4 + 1, 3, 3072);
  expect(0, 5, 0);
  expect(4, 5, 256);
}

TEST(CudaGenerator, UsesAllBitsOfTheSeed) {
  EXPECT_NE(draw(*make_generator(Rng::cuda, 5), 4), draw(*make_generator(Rng::cuda, 5 + (uint64_t{1} << 32)), 4));
  // PyTorch's Mersenne twister does not.
  EXPECT_EQ(draw(*make_generator(Rng::cpu, 5), 4), draw(*make_generator(Rng::cpu, 5 + (uint64_t{1} << 32)), 4));
}

}  // namespace
}  // namespace tempera
