// conv2d/winograd against plain loops on every instruction set of this machine. The conformance suite tests its shapes
// and epilogues.
#include <gtest/gtest.h>

#include <cmath>
#include <random>

#include "backend/cpu/kernels/bench.h"
#include "backend/cpu/kernels/kernels.h"
#include "backend/cpu/kernels/targets.h"
#include "backend/host_backend.h"
#include "base/half.h"
#include "hwy/highway.h"
#include "support/counting_reader.h"

namespace tempera {
namespace {

constexpr int64_t kPictures = 2, kHeight = 67, kWidth = 65, kIn = 48, kOut = 64;

struct Tensor {
  TensorDesc desc;
  std::vector<float> values;  // rounded to `dtype`
  std::vector<std::byte> bytes;
};

Tensor normal_tensor(DType dtype, Shape shape, float spread, unsigned seed) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal(0, spread);
  Tensor t{{dtype, shape}, std::vector<float>(static_cast<size_t>(shape.elements())), {}};
  for (float& v : t.values) v = normal(random);
  t.bytes.resize(t.desc.bytes());
  convert(t.values.data(), DType::f32, t.bytes.data(), dtype, t.values.size());
  convert(t.bytes.data(), dtype, t.values.data(), DType::f32, t.values.size());
  return t;
}

// One value of the sum, in double precision.
double direct(const Tensor& x, const Tensor& w, int64_t n, int64_t y, int64_t column, int64_t out) {
  double sum = 0;
  for (int64_t i = 0; i < 3; ++i)
    for (int64_t j = 0; j < 3; ++j) {
      const int64_t row = y + i - 1, from = column + j - 1;
      if (row < 0 || row >= kHeight || from < 0 || from >= kWidth) continue;
      for (int64_t c = 0; c < kIn; ++c)
        sum += static_cast<double>(x.values[static_cast<size_t>(((n * kHeight + row) * kWidth + from) * kIn + c)]) *
               static_cast<double>(w.values[static_cast<size_t>((out * kIn + c) * 9 + i * 3 + j)]);
    }
  return sum;
}

// ||result - expected|| / ||expected||
double relative_error(DType dtype) {
  Tensor x = normal_tensor(dtype, {kPictures, kHeight, kWidth, kIn}, 1, 1);
  const Tensor w = normal_tensor(dtype, {kOut, kIn, 3, 3}, 1.0f / std::sqrt(9.0f * kIn), 2);
  const TensorDesc to{DType::f32, {kPictures, kHeight, kWidth, kOut}};
  Conv2d op{3, 1, 1, 1, false};
  if (dtype != DType::f32) op.to = DType::f32;
  const Problem problem{op, {x.desc, w.desc}, to};

  std::vector<Kernel> table;
  add_conv_winograd_kernels(table);
  const Kernel& kernel = table.at(0);
  bench::Bytes packed(kernel.info.packed(problem, 1).bytes), out(to.bytes()), scratch(kernel.info.workspace(problem));
  const WeightPart part = stored_part(dtype, w.bytes);
  kernel.pack(problem, 1, {&part, 1}, packed.data());
  HostQueue queue;
  kernel.bind(problem, {{x.bytes.data(), packed.data()}, out.data(), scratch.data()})(queue);

  const auto* results = reinterpret_cast<const float*>(out.data());
  double difference = 0, norm = 0;
  for (int64_t n = 0; n < kPictures; ++n)
    for (int64_t y = 0; y < kHeight; ++y)
      for (int64_t column = 0; column < kWidth; ++column)
        for (int64_t o = 0; o < kOut; o += 7) {
          const double expected = direct(x, w, n, y, column, o);
          const double result = static_cast<double>(results[((n * kHeight + y) * kWidth + column) * kOut + o]);
          difference += (result - expected) * (result - expected);
          norm += expected * expected;
        }
  return std::sqrt(difference / norm);
}

TEST(ConvWinograd, MatchesPlainLoopsOnEveryInstructionSet) {
  for (const int64_t target : hwy::SupportedAndGeneratedTargets()) {
    hwy::GetChosenTarget().Update(target);
    SCOPED_TRACE(hwy::TargetName(target));
    for (const DType dtype : {DType::f32, DType::bf16}) EXPECT_LE(relative_error(dtype), 2e-6) << name(dtype);
  }
  hwy::GetChosenTarget().DeInit();
}

}  // namespace
}  // namespace tempera
