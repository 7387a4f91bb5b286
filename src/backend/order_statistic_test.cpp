#include "backend/order_statistic.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>
#include <vector>

namespace tempera {
namespace {

TEST(OrderStatistic, IsTheElementOfTheSortedNumbers) {
  std::mt19937 random(3);
  std::normal_distribution<float> normal;
  for (const size_t count : {1u, 2u, 7u, 1000u}) {
    std::vector<float> values;
    for (size_t i = 0; i < count; ++i) {
      // Zeros, numbers that occur again, and all magnitudes.
      const float x = std::abs(normal(random));
      values.push_back(i % 5 == 0   ? 0
                       : i % 3 == 0 ? std::round(x)
                                    : x * std::ldexp(1.0f, static_cast<int>(i % 40) - 20));
    }
    std::vector<float> sorted = values;
    std::sort(sorted.begin(), sorted.end());
    for (size_t rank = 0; rank < count; rank += 1 + count / 50)
      EXPECT_EQ(order_statistic(static_cast<int64_t>(count), static_cast<int64_t>(rank),
                                [&](int64_t i) { return values[static_cast<size_t>(i)]; }),
                sorted[rank]);
  }
}

TEST(OrderStatistic, HasInfinityAndNanAtTheEnd) {
  const std::vector<float> values = {std::numeric_limits<float>::quiet_NaN(), 3, std::numeric_limits<float>::infinity(),
                                     1};
  const auto at = [&](int64_t rank) {
    return order_statistic(4, rank, [&](int64_t i) { return values[static_cast<size_t>(i)]; });
  };
  EXPECT_EQ(at(0), 1);
  EXPECT_EQ(at(1), 3);
  EXPECT_EQ(at(2), std::numeric_limits<float>::infinity());
  EXPECT_TRUE(std::isnan(at(3)));
}

}  // namespace
}  // namespace tempera
