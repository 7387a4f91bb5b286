// Numbers become the blocks that ggml itself makes of them (tools/make_gguf_goldens.py), byte for byte.
#include "weights/block_encoders.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "base/half.h"
#include "support/test_files.h"
#include "weights/block_types.h"
#include "weights/safetensors.h"

namespace tempera {
namespace {

class BlockEncoders : public testing::TestWithParam<const char*> {
 protected:
  const SafetensorsFile goldens_{std::filesystem::path(TEMPERA_TEST_DATA) / "gguf/encoded.safetensors"};
  const BlockType& type_ = block_type(GetParam());
  const std::vector<float> floats_ = goldens_.get(std::string(GetParam()) + ".floats").floats();
  const std::vector<std::byte> encoded_ = stored_bytes(goldens_.get(std::string(GetParam()) + ".encoded"));

  std::vector<std::byte> encode() const {
    std::vector<std::byte> blocks(floats_.size() / type_.elements * type_.bytes);
    for (size_t i = 0; i < floats_.size() / type_.elements; ++i)
      block_encoder(type_)(&floats_[i * type_.elements], &blocks[i * type_.bytes]);
    return blocks;
  }
};

TEST_P(BlockEncoders, EncodeAsGgml) {
  ASSERT_EQ(floats_.size(), 5 * type_.elements);
  EXPECT_EQ(encode(), encoded_);
}

// The first block has normal values. The largest error is half a step of its largest group, and a little more for the
// rounded scales of the K types.
TEST_P(BlockEncoders, DecodeToNearbyValues) {
  const std::vector<std::byte> blocks = encode();
  std::vector<float> decoded(type_.elements);
  type_.decode(blocks.data(), decoded.data());
  const auto [least, largest] = std::minmax_element(floats_.begin(), floats_.begin() + type_.elements);
  const std::string name = GetParam();
  const int bits = name[1] - '0';
  const float step = 2 * std::max(-*least, *largest) / static_cast<float>((1 << bits) - 1);
  for (size_t i = 0; i < decoded.size(); ++i) EXPECT_NEAR(decoded[i], floats_[i], 1.05f * step) << i;
}

INSTANTIATE_TEST_SUITE_P(All, BlockEncoders,
                         testing::Values("Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0", "Q4_K", "Q5_K", "Q6_K"),
                         [](const auto& test) { return std::string(test.param); });

TEST(BlockEncoder, OtherTypesAreOnlyRead) {
  EXPECT_EQ(block_encoder(block_type("Q2_K")), nullptr);
  EXPECT_EQ(block_encoder(block_type("Q3_K")), nullptr);
}

}  // namespace
}  // namespace tempera
