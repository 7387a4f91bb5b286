// What needs no card: every row has its function, the file of choices is read with care, and a machine without a card
// is told so.
#include "backend/cuda/cuda.h"

#include <gmock/gmock.h>

#include "backend/cuda/binding.h"
#include "backend/cuda/device.h"
#include "backend/cuda/table.h"
#include "backend/cuda/tuning.h"
#include "base/error.h"

namespace tempera {
namespace {

TEST(CudaBackend, BindsEveryRowOfTheTable) {
  for (const KernelInfo* info : cuda_target().kernels) EXPECT_NE(cuda::find_binding(info->name), nullptr) << info->name;
  EXPECT_EQ(cuda::find_binding("conv2d/nothing"), nullptr);
}

TEST(CudaBackend, SaysWhatIsMissing) {
  const std::string missing = cuda_missing();
  if (missing.empty()) GTEST_SKIP() << "nothing is: there is a card";
  EXPECT_THAT(missing, testing::HasSubstr("cuda"));
  try {
    make_cuda_backend();
    FAIL() << "opened although " << missing;
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::unavailable);
    EXPECT_EQ(error.what(), missing);
  }
}

TEST(CudaBackend, NamesTheArchitectureToBuildFor) {
  using testing::EndsWith;
  using testing::HasSubstr;
  const auto message = [](int major, int minor) { return cuda::no_code_for({"NVIDIA Card", major, minor, 1, 1}); };
  EXPECT_THAT(message(8, 6),
              EndsWith("NVIDIA Card (compute capability 8.6); build with -DCMAKE_CUDA_ARCHITECTURES=86"));
  EXPECT_THAT(message(9, 0), EndsWith("-DCMAKE_CUDA_ARCHITECTURES=90a"));
  EXPECT_THAT(message(12, 0), EndsWith("-DCMAKE_CUDA_ARCHITECTURES=120"));
  EXPECT_THAT(message(7, 5), HasSubstr("8.0 or later is needed"));
}

TEST(CudaTuning, ReadsItsLinesAndNoOthers) {
  using testing::Pair;
  using testing::UnorderedElementsAre;
  EXPECT_THAT(cuda::parse_tuning("a b\t3\t12.5\nc\t0\t1.0\na b\t4\t11.0\n"),
              UnorderedElementsAre(Pair("a b", 4), Pair("c", 0)));
  EXPECT_THAT(cuda::parse_tuning("no tabs\nkey\tx\t1\nkey\t-1\t1\nkey\t99999999999999999999\t1\nkey\t1\n\n\t\t\n"),
              testing::IsEmpty());
  EXPECT_THAT(cuda::parse_tuning(std::string("\0\t1\t2\xff cut", 9)),
              UnorderedElementsAre(Pair(std::string(1, '\0'), 1)));
}

TEST(CudaTuning, RemembersInItsFile) {
  const auto file = std::filesystem::path(testing::TempDir()) / "tempera-tuning" / "algorithms.txt";
  std::filesystem::remove_all(file.parent_path());
  cuda::Tuning(file, "card one").remember("product", 2, 3.25);
  EXPECT_EQ(cuda::Tuning(file, "card one").known("product"), 2);
  EXPECT_EQ(cuda::Tuning(file, "card two").known("product"), std::nullopt);
  std::filesystem::remove_all(file.parent_path());
}

}  // namespace
}  // namespace tempera
