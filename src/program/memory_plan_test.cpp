// For random lifetimes: values that live together never overlap, offsets are aligned, and the plan is no larger than
// the sum of all values.
#include "program/memory_plan.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <random>

namespace tempera {
namespace {
using testing::ElementsAre;

size_t round_up(size_t n, size_t alignment) {
  return (n + alignment - 1) / alignment * alignment;
}

void expect_sound(const std::vector<Lifetime>& values, const ArenaPlan& plan, size_t alignment) {
  ASSERT_EQ(plan.offsets.size(), values.size());
  size_t sum = 0, end = 0;
  for (size_t a = 0; a < values.size(); ++a) {
    EXPECT_EQ(plan.offsets[a] % alignment, 0u);
    sum += round_up(values[a].bytes, alignment);
    end = std::max(end, plan.offsets[a] + round_up(values[a].bytes, alignment));
    for (size_t b = 0; b < a; ++b) {
      const bool together = values[a].first <= values[b].last && values[b].first <= values[a].last;
      const bool apart =
          plan.offsets[a] + values[a].bytes <= plan.offsets[b] || plan.offsets[b] + values[b].bytes <= plan.offsets[a];
      EXPECT_TRUE(!together || apart) << a << " and " << b << " overlap";
    }
  }
  EXPECT_LE(plan.size, sum);
  EXPECT_EQ(plan.size, end);
}

// The largest sum of values that live at one time: no plan can be smaller.
size_t live_peak(const std::vector<Lifetime>& values, size_t alignment) {
  size_t peak = 0;
  for (const Lifetime& at : values) {
    size_t live = 0;
    for (const Lifetime& v : values)
      if (v.first <= at.first && at.first <= v.last) live += round_up(v.bytes, alignment);
    peak = std::max(peak, live);
  }
  return peak;
}

TEST(MemoryPlan, RandomLifetimesAreSound) {
  std::mt19937 random(7);
  const auto below = [&](uint32_t n) { return static_cast<uint32_t>(random() % n); };
  for (int round = 0; round < 300; ++round) {
    const size_t alignment = size_t{1} << below(9);
    const uint32_t steps = 1 + below(40);
    std::vector<Lifetime> values(below(60));
    for (Lifetime& v : values) {
      v.bytes = below(4) == 0 ? 0 : below(3000);
      v.first = below(steps);
      v.last = v.first + below(steps - v.first);
    }
    const ArenaPlan plan = plan_memory(values, alignment);
    expect_sound(values, plan, alignment);
    EXPECT_GE(plan.size, live_peak(values, alignment));
    EXPECT_EQ(plan.offsets, plan_memory(values, alignment).offsets) << "the same every time";
  }
}

TEST(MemoryPlan, AChainNeedsTwoNeighbours) {
  std::vector<Lifetime> chain;
  for (uint32_t i = 0; i < 10; ++i) chain.push_back({100, i, i + 1});
  const ArenaPlan plan = plan_memory(chain, 64);
  EXPECT_EQ(plan.size, 256u);
  expect_sound(chain, plan, 64);
}

TEST(MemoryPlan, SmallValuesFillTheGapsOfLargeOnes) {
  // The second and the third never live together, so they share one place.
  EXPECT_THAT(plan_memory({{128, 0, 9}, {64, 0, 3}, {64, 4, 9}, {64, 0, 9}}, 64).offsets,
              ElementsAre(0, 128, 128, 192));
}

TEST(MemoryPlan, OfNothingIsEmpty) {
  EXPECT_EQ(plan_memory({}, 64).size, 0u);
  EXPECT_EQ(plan_memory({{0, 0, 1}, {0, 0, 1}}, 64).size, 0u);
}

}  // namespace
}  // namespace tempera
