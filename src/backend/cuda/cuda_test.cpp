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

TEST(CudaTuning, RemembersInItsFile) {
  const auto file = std::filesystem::path(testing::TempDir()) / "tempera-tuning" / "algorithms.txt";
  std::filesystem::remove_all(file.parent_path());
  const cuda::TuningKey key{"cuDNN 9.1.0", "product"};
  cuda::Tuning first(file, "card one");
  first.remember(key, 1, "engine 4", 3.5);
  first.remember(key, 2, "engine 7", 3.25);
  for (const cuda::Tuning& tuning : {first, cuda::Tuning(file, "card one")}) {
    ASSERT_NE(tuning.known(key), nullptr);
    EXPECT_EQ(tuning.known(key)->candidate, 2);
    EXPECT_EQ(tuning.known(key)->name, "engine 7");
    EXPECT_EQ(tuning.known({"cuDNN 9.2.0", "product"}), nullptr);
    EXPECT_EQ(tuning.known({"cuDNN 9.1.0", "another"}), nullptr);
  }
  EXPECT_EQ(cuda::Tuning(file, "card two").known(key), nullptr);
  std::filesystem::remove_all(file.parent_path());
}

TEST(CudaTuning, AFileThatCannotBeReadIsNone) {
  const cuda::TuningKey key{"cuDNN 9.1.0", "product"};
  cuda::Tuning tuning(testing::TempDir(), "card");  // a folder
  EXPECT_EQ(tuning.known(key), nullptr);
  tuning.remember(key, 1, "engine 4", 3.5);
  EXPECT_NE(tuning.known(key), nullptr);
}

// Nothing here needs a card: what is known is not timed.
TEST(CudaTuning, TakesWhatIsKnownWhileItsNameIsTheSame) {
  cuda::Tuning tuning({}, "card");
  std::vector<std::string> asked;
  const auto candidate = [&asked](const std::string& name) {
    return cuda::Candidate{name, [&asked, name]() -> cuda::Enqueue {
                             asked.push_back(name);
                             return [](cudaStream_t) {};
                           }};
  };
  tuning.remember({"library", "problem"}, 1, "second", 1);
  EXPECT_TRUE(cuda::fastest(tuning, {"library", "problem"}, {candidate("first"), candidate("second")}, nullptr));
  EXPECT_THAT(asked, testing::ElementsAre("second"));
  // With another order of candidates, or fewer, it would be measured: here there is nothing that can run.
  const cuda::Candidate nothing{"first", [&asked]() -> cuda::Enqueue {
                                  asked.push_back("nothing");
                                  return {};
                                }};
  EXPECT_FALSE(cuda::fastest(tuning, {"library", "problem"}, {nothing}, nullptr));
  EXPECT_FALSE(cuda::fastest(tuning, {"library", "problem"}, {nothing, nothing}, nullptr));
  EXPECT_THAT(asked, testing::ElementsAre("second", "nothing", "nothing", "nothing"));
}

}  // namespace
}  // namespace tempera
