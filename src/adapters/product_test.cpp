// Every kernel against a product in double precision, the kernels against each other, and parts against the whole.
#include "adapters/product.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <random>

namespace tempera {
namespace {

std::vector<float> random_values(size_t n, unsigned seed) {
  std::mt19937 engine(seed);
  std::vector<float> values(n);
  for (float& value : values) value = static_cast<float>(engine()) * 0x1p-31f - 1;
  return values;
}

constexpr size_t kRows = 23, kRank = 19, kColumns = 77;
constexpr float kFactor = 0.7f;

class Product : public testing::Test {
 protected:
  const std::vector<float> left_ = random_values(kRows * kRank, 1), right_ = random_values(kRank * kColumns, 2);
  const std::vector<float> before_ = random_values(kRows * kColumns, 3);
  const Panels panels_{right_, kRank, kColumns};

  double expected(size_t r, size_t c) const {
    double sum = 0;
    for (size_t k = 0; k < kRank; ++k)
      sum += static_cast<double>(left_[r * kRank + k]) * static_cast<double>(right_[k * kColumns + c]);
    return static_cast<double>(before_[r * kColumns + c]) + static_cast<double>(kFactor) * sum;
  }
};

TEST_F(Product, EveryKernelComputesTheProduct) {
  for (const ProductKernel& kernel : product_kernels())
    for (size_t rows = 0; rows <= kRows; ++rows) {
      std::vector<float> values(before_);
      for (size_t c = 0; c + Panels::kWidth <= kColumns; c += Panels::kWidth)
        kernel.run(left_.data(), kRank, rows, panels_.panel(c / Panels::kWidth), kRank, kFactor, values.data() + c,
                   kColumns);
      const size_t columns = kColumns / Panels::kWidth * Panels::kWidth;
      for (size_t r = 0; r < kRows; ++r)
        for (size_t c = 0; c < kColumns; ++c) {
          const float value = values[r * kColumns + c];
          if (r < rows && c < columns) {
            ASSERT_NEAR(value, expected(r, c), 2e-6) << kernel.name << " " << r << " " << c;
          } else {
            ASSERT_EQ(value, before_[r * kColumns + c]) << kernel.name << " writes outside, at " << r << " " << c;
          }
        }
    }
}

TEST_F(Product, KernelsWithFusedOperationsGiveTheSameBits) {
  std::vector<std::vector<float>> results;
  for (const ProductKernel& kernel : product_kernels()) {
    if (kernel.name == "plain") continue;
    results.emplace_back(before_);
    kernel.run(left_.data(), kRank, kRows, panels_.panel(1), kRank, kFactor, results.back().data(), kColumns);
  }
  for (size_t i = 1; i < results.size(); ++i)
    EXPECT_EQ(std::memcmp(results[0].data(), results[i].data(), results[0].size() * sizeof(float)), 0);
}

TEST_F(Product, PartsEqualTheWhole) {
  std::vector<float> whole(before_);
  add_product(left_.data(), kRank, kRows, panels_, 0, kColumns, kFactor, whole.data(), kColumns);
  for (size_t r = 0; r < kRows; ++r)
    for (size_t c = 0; c < kColumns; ++c) ASSERT_NEAR(whole[r * kColumns + c], expected(r, c), 2e-6);
  for (size_t rows = 1; rows <= 9; ++rows)
    for (size_t first : {0, 1, 31, 32, 40, 64})
      for (size_t columns : {size_t{1}, size_t{13}, kColumns - 64}) {
        std::vector<float> part(before_);
        add_product(left_.data() + 2 * kRank, kRank, rows, panels_, first, columns, kFactor,
                    part.data() + 2 * kColumns + first, kColumns);
        for (size_t r = 0; r < kRows; ++r)
          for (size_t c = 0; c < kColumns; ++c) {
            const bool inside = r >= 2 && r < 2 + rows && c >= first && c < first + columns;
            ASSERT_EQ(part[r * kColumns + c], (inside ? whole : before_)[r * kColumns + c]) << r << " " << c;
          }
      }
}

}  // namespace
}  // namespace tempera
