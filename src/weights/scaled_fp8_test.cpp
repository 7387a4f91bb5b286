// Weights of ComfyUI's scaled fp8 are multiplied by their scales, and other scaled layouts are refused by name.
#include "weights/scaled_fp8.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>

#include "support/test_files.h"
#include "weights/tensor_file.h"

namespace tempera {
namespace {
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;

using Tensors = std::vector<std::pair<TensorSpec, std::vector<std::byte>>>;

std::pair<TensorSpec, std::vector<std::byte>> fp8(const std::string& name, std::initializer_list<int> bytes) {
  std::vector<std::byte> data;
  for (const int byte : bytes) data.push_back(static_cast<std::byte>(byte));
  return {{name, DType::f8_e4m3, {static_cast<int64_t>(data.size())}}, data};
}

std::pair<TensorSpec, std::vector<std::byte>> number(const std::string& name, float value,
                                                     std::vector<int64_t> dims = {}) {
  std::vector<std::byte> data(sizeof value);
  std::memcpy(data.data(), &value, sizeof value);
  return {{name, DType::f32, std::move(dims)}, data};
}

class ScaledFp8 : public testing::Test {
 protected:
  std::shared_ptr<const Checkpoint> open(const Tensors& tensors) {
    write_safetensors(folder_ / "x.safetensors", tensors);
    return open_tensor_file(folder_ / "x.safetensors");
  }
  std::string problem(const Tensors& tensors) {
    return bad_file_message([&] {
      const auto file = open(tensors);
      for (const std::string& name : file->names()) file->get(name);
    });
  }
  TemporaryFolder folder_;
};

// E4M3: 0x38 is 1, 0x3c is 1.5, 0x01 is 2^-9, 0xc0 is -2, 0x7e is 448.
TEST_F(ScaledFp8, MultipliesMarkedWeights) {
  const auto file = open({fp8("m.scaled_fp8", {0, 0}), fp8("m.a.weight", {0x38, 0x3c, 0x01, 0xc0, 0x7e}),
                          number("m.a.scale_weight", 0.25f), number("m.a.scale_input", 9), fp8("m.b.weight", {0x3c})});
  EXPECT_THAT(file->names(), ElementsAre("m.a.weight", "m.b.weight"));
  EXPECT_THAT(file->get("m.a.weight").floats(), ElementsAre(0.25f, 0.375f, 0x1p-11f, -0.5f, 112.0f));
  EXPECT_THAT(file->get("m.b.weight").floats(), ElementsAre(1.5f));
  EXPECT_EQ(file->get("m.a.weight").dtype, DType::f8_e4m3);
  EXPECT_EQ(file->get("m.a.weight").stored_bytes(), 5u);
  EXPECT_TRUE(file->get("m.a.weight").scaled);
  EXPECT_FALSE(file->get("m.b.weight").scaled);
  EXPECT_FALSE(file->find("m.a.scale_weight"));
  EXPECT_FALSE(file->find("m.scaled_fp8"));
}

// A row that is longer than the buffer of the reader, with rows at a distance.
TEST_F(ScaledFp8, ReadsBlocksOfRows) {
  std::vector<std::byte> bytes(3 * 1500);
  for (size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<std::byte>(i % 100);
  const auto file =
      open({fp8("scaled_fp8", {}), {{"w.weight", DType::f8_e4m3, {3, 1500}}, bytes}, number("w.scale_weight", 3, {1})});
  const CheckpointTensor tensor = file->get("w.weight");
  const std::vector<float> all = tensor.floats();
  std::vector<float> part(2 * 1400);
  tensor.reader->read_block({1503, 2, 1400, 1500}, DType::f32, std::as_writable_bytes(std::span(part)).data(),
                            1400 * sizeof(float));
  for (size_t r = 0; r < 2; ++r)
    for (size_t c = 0; c < 1400; ++c) ASSERT_EQ(part[r * 1400 + c], all[1503 + r * 1500 + c]);
}

TEST_F(ScaledFp8, RefusesScalesThatItCannotApply) {
  EXPECT_THAT(problem({fp8("a.weight", {0x38}), number("a.scale_weight", 1)}),
              AllOf(HasSubstr("'a.scale_weight'"), HasSubstr("lacks the tensor scaled_fp8")));
  EXPECT_THAT(problem({fp8("m.scaled_fp8", {}), fp8("n.a.weight", {0x38}), number("n.a.scale_weight", 1)}),
              HasSubstr("'n.a.scale_weight'"));
  EXPECT_THAT(problem({fp8("scaled_fp8", {}),
                       fp8("a.weight", {0x38}),
                       {{"a.scale_weight", DType::f32, {2}}, std::vector<std::byte>(8)}}),
              AllOf(HasSubstr("'a.scale_weight'"), HasSubstr("one scale for each weight")));
  EXPECT_THAT(problem({fp8("scaled_fp8", {}),
                       fp8("a.weight", {0x38}),
                       {{"a.scale_weight", DType::i8, {1}}, std::vector<std::byte>(1)}}),
              HasSubstr("must be a floating-point number"));
  EXPECT_THAT(problem({fp8("scaled_fp8", {}), fp8("a.weight", {0x38}), number("a.scale_weight", 1.0f / 0.0f)}),
              HasSubstr("damaged"));
}

TEST_F(ScaledFp8, NamesOtherLayouts) {
  EXPECT_THAT(problem({fp8("a.weight", {0x38}), number("a.weight_scale", 1)}), HasSubstr("weight_scale, as ModelOpt"));
  EXPECT_THAT(problem({fp8("a.weight", {0x38}), number("a.weight_scale_inv", 1)}), HasSubstr("each block"));
  EXPECT_THAT(problem({fp8("a.weight", {0x38}), number("a.weight_scale", 1), number("a.comfy_quant", 1)}),
              HasSubstr("comfy_quant"));
  EXPECT_THAT(problem({fp8("a.weight", {0x38}), number("a.weight.quant_state.bitsandbytes__nf4", 1)}),
              HasSubstr("bitsandbytes"));
  EXPECT_THAT(problem({fp8("a.qweight", {0x38})}), HasSubstr("GPTQ"));
  EXPECT_EQ(problem({fp8("a.weight", {0x38}), number("a.scale", 1)}), "");
}

}  // namespace
}  // namespace tempera
