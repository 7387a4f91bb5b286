#include "backend/cuda/weights.h"

#include <gmock/gmock.h>

#include "base/half.h"
#include "support/counting_reader.h"

namespace tempera {
namespace {

using testing::ElementsAre;

// Parts of f32 numbers, packed and read as f32. Each number is read once and given back once.
std::vector<float> packed(const Problem& p, int input, const std::vector<std::vector<float>>& numbers, DType as) {
  std::vector<WeightPart> parts;
  parts.reserve(numbers.size());
  for (const auto& part : numbers) parts.push_back(stored_part(DType::f32, std::as_bytes(std::span(part))));
  std::vector<std::shared_ptr<const CountingReader>> counters;
  const KernelInfo::Packed promise = cuda_packed(p, input);
  std::vector<std::byte> bytes(promise.bytes);
  cuda_pack(p, input, counted(parts, counters), bytes.data());
  for (const auto& counter : counters) EXPECT_EQ(counter->fault(), "");
  std::vector<float> out(bytes.size() / size_of(as));
  convert(bytes.data(), as, out.data(), DType::f32, out.size());
  return out;
}

Problem convolution(DType dtype) {
  const Conv2d op{2, 1, 0, 0, true};
  Problem p{op, {{dtype, {1, 4, 4, 2}}, {dtype, {2, 2, 2, 2}}, {DType::f32, {2}}}, {}};
  p.output = infer(p.op, p.inputs);
  return p;
}

TEST(CudaWeights, ConvolutionsHaveTheirChannelsLast) {
  for (const DType dtype : {DType::f32, DType::f16}) {
    const Problem p = convolution(dtype);
    EXPECT_EQ(cuda_packed(p, 1).layout, "channels last");
    // (O, I, k, k) in two parts of one output channel each.
    EXPECT_THAT(packed(p, 1, {{0, 1, 2, 3, 4, 5, 6, 7}, {8, 9, 10, 11, 12, 13, 14, 15}}, dtype),
                ElementsAre(0, 4, 1, 5, 2, 6, 3, 7, 8, 12, 9, 13, 10, 14, 11, 15));
  }
}

// One tap becomes a window of two by two, with zeros before it or after it.
TEST(CudaWeights, ConvolutionsOfUnequalPaddingsHaveALargerWindow) {
  const auto problem = [](int before, int after) {
    Problem p{Conv2d{1, 2, before, after, false}, {{DType::f16, {1, 4, 4, 2}}, {DType::f16, {2, 2, 1, 1}}}, {}};
    p.output = infer(p.op, p.inputs);
    return p;
  };
  const std::vector<std::vector<float>> taps = {{1, 2}, {3, 4}};
  EXPECT_THAT(packed(problem(0, 1), 1, taps, DType::f16), ElementsAre(0, 0, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 0, 0, 3, 4));
  EXPECT_THAT(packed(problem(1, 0), 1, taps, DType::f16), ElementsAre(1, 2, 0, 0, 0, 0, 0, 0, 3, 4, 0, 0, 0, 0, 0, 0));
  EXPECT_NE(cuda_packed(problem(0, 1), 1).layout, cuda_packed(problem(1, 0), 1).layout);
  const CudaWindow window = cuda_window({3, 2, 0, 1});
  EXPECT_EQ(window.kernel, 4);
  EXPECT_EQ(window.pad, 1);
  EXPECT_EQ(window.before, 1);
}

TEST(CudaWeights, BiasesHaveTheTypeOfTheOutput) {
  const Problem p = convolution(DType::f16);
  EXPECT_EQ(cuda_packed(p, 2).bytes, 4u);
  EXPECT_EQ(cuda_packed(p, 2).layout, "f16");
  EXPECT_THAT(packed(p, 2, {{0.5f, -3}}, DType::f16), ElementsAre(0.5f, -3));
  Problem wide = convolution(DType::f16);
  std::get<Conv2d>(wide.op).to = DType::f32;
  wide.output = infer(wide.op, wide.inputs);
  EXPECT_EQ(cuda_packed(wide, 2).bytes, 8u);
}

TEST(CudaWeights, OtherWeightsArePlain) {
  const Problem norm{LayerNorm{}, {{DType::f16, {3, 4}}, {DType::f32, {4}}, {DType::f32, {4}}}, {DType::f16, {3, 4}}};
  EXPECT_EQ(cuda_packed(norm, 2).bytes, 16u);
  EXPECT_THAT(packed(norm, 2, {{1, 2, 3, 4}}, DType::f32), ElementsAre(1, 2, 3, 4));
}

}  // namespace
}  // namespace tempera
