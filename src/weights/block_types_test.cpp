// Blocks decode to the values that ggml itself computes (tools/make_gguf_goldens.py), whole and in pieces.
#include "weights/block_types.h"

#include <gtest/gtest.h>

#include "base/half.h"
#include "support/test_files.h"
#include "weights/safetensors.h"

namespace tempera {
namespace {

class BlockTypes : public testing::TestWithParam<const char*> {
 protected:
  const SafetensorsFile goldens_{std::filesystem::path(TEMPERA_TEST_DATA) / "gguf/blocks.safetensors"};
  const BlockType& type_ = block_type(GetParam());
  const std::vector<std::byte> blocks_ = stored_bytes(goldens_.get(std::string(GetParam()) + ".blocks"));
  const std::vector<float> values_ = goldens_.get(std::string(GetParam()) + ".values").floats();
};

TEST_P(BlockTypes, DecodeAsGgml) {
  ASSERT_EQ(blocks_.size(), 2 * type_.bytes);
  ASSERT_EQ(values_.size(), 2 * type_.elements);
  std::vector<float> decoded(values_.size());
  BlockElements(type_, blocks_).read(0, decoded.size(), DType::f32, std::as_writable_bytes(std::span(decoded)).data());
  for (size_t i = 0; i < values_.size(); ++i)
    ASSERT_NEAR(decoded[i], values_[i], 1e-6f * std::abs(values_[i])) << i;  // a compiler may fuse multiply and add
}

TEST_P(BlockTypes, ReadAnyBlockOfRows) {
  const BlockElements reader(type_, blocks_);
  std::vector<float> all(values_.size());
  reader.read(0, all.size(), DType::f32, std::as_writable_bytes(std::span(all)).data());
  // Rows of 7 at a distance of 11 begin and end within blocks and cross their borders.
  const size_t rows = (all.size() - 5 - 7) / 11 + 1;
  std::vector<bf16> part(rows * 8);
  reader.read_block({5, rows, 7, 11}, DType::bf16, std::as_writable_bytes(std::span(part)).data(), 8 * sizeof(bf16));
  for (size_t r = 0; r < rows; ++r)
    for (size_t c = 0; c < 7; ++c) ASSERT_EQ(part[r * 8 + c].bits, to_bf16(all[5 + r * 11 + c]).bits) << r << " " << c;
}

TEST_P(BlockTypes, GiveBackTheBytesOfTheirBlocks) {
  std::vector<std::pair<size_t, size_t>> ranges;
  const BlockElements reader(type_, blocks_, {}, [&](std::span<const std::byte> range) {
    ranges.emplace_back(range.data() - blocks_.data(), range.size());
  });
  reader.done(0, type_.elements);
  reader.done(type_.elements, 1);
  reader.done(0, 0);
  EXPECT_EQ(ranges, (std::vector<std::pair<size_t, size_t>>{{0, type_.bytes}, {type_.bytes, type_.bytes}}));
}

INSTANTIATE_TEST_SUITE_P(All, BlockTypes,
                         testing::Values("Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0", "Q2_K", "Q3_K", "Q4_K", "Q5_K",
                                         "Q6_K"),
                         [](const auto& test) { return std::string(test.param); });

TEST(BlockType, HasANumberAndAName) {
  EXPECT_EQ(ggml_block_type(12), &block_type("Q4_K"));
  EXPECT_EQ(ggml_number(block_type("Q6_K")), 14u);
  EXPECT_EQ(ggml_block_type(20), nullptr);
  EXPECT_EQ(ggml_block_type(0), nullptr);
}

}  // namespace
}  // namespace tempera
