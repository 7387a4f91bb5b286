#include "weights/finite_values.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

#include "support/test_files.h"
#include "weights/safetensors.h"

namespace tempera {
namespace {

using testing::AllOf;
using testing::HasSubstr;

constexpr float kNan = std::numeric_limits<float>::quiet_NaN(), kInfinity = std::numeric_limits<float>::infinity();

std::pair<TensorSpec, std::vector<std::byte>> tensor(const std::string& name, const std::vector<float>& values) {
  const auto bytes = std::as_bytes(std::span(values));
  return {{name, DType::f32, {static_cast<int64_t>(values.size())}}, {bytes.begin(), bytes.end()}};
}

TEST(FiniteValues, NamesTheFirstTensorWithOthers) {
  const TemporaryFolder folder;
  // Longer than one piece that is read.
  std::vector<float> many(100'000, 1);
  many[99'999] = kNan;
  write_safetensors(folder / "x.safetensors",
                    {tensor("a", {1, 2}), tensor("b", many), tensor("c", {kNan, kInfinity, -kInfinity})});
  const SafetensorsFile file(folder / "x.safetensors");
  EXPECT_EQ(fault_in_values(file.get("a")), "");
  EXPECT_EQ(fault_in_values(file.get("b")), "1 NaN and 0 infinite elements of 100000");
  EXPECT_EQ(fault_in_values(file.get("c")), "1 NaN and 2 infinite elements of 3");
  EXPECT_THAT(damaged_tensor(file), AllOf(HasSubstr("'b' in '"), HasSubstr("x.safetensors' has 1 NaN and 0 infinite")));
  write_safetensors(folder / "y.safetensors", {tensor("a", {1, 2})});
  EXPECT_EQ(damaged_tensor(SafetensorsFile(folder / "y.safetensors")), "");
}

}  // namespace
}  // namespace tempera
