// Malformed files of choices are ignored, and on a machine without a card the error says this. On a card: the functions
// of the backend other than running rows.
#include "backend/cuda/cuda.h"

#include <gmock/gmock.h>

#include "backend/cuda/device.h"
#include "backend/cuda/tuning.h"
#include "base/error.h"

namespace tempera {
namespace {

TEST(CudaBackend, SaysWhatIsMissing) {
  const std::string missing = cuda_missing().text;
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
  const auto message = [](int major, int minor) { return cuda::no_code_for({"NVIDIA Card", major, minor, 1, 1}).text; };
  EXPECT_THAT(message(8, 6),
              EndsWith("NVIDIA Card (compute capability 8.6); build with -DCMAKE_CUDA_ARCHITECTURES=86"));
  EXPECT_THAT(message(9, 0), EndsWith("-DCMAKE_CUDA_ARCHITECTURES=90a"));
  EXPECT_THAT(message(12, 0), EndsWith("-DCMAKE_CUDA_ARCHITECTURES=120"));
  EXPECT_THAT(message(7, 5), HasSubstr("8.0 or later is needed"));
}

// Seventeen parameters, 24 MiB, through 20 MiB of the card, run after run: packed once, through a ring with room for a
// few, and through one that holds the largest alone.
TEST(CudaTransfers, BringTheSameBytesWhateverMayBeLocked) {
  if (!cuda_missing().empty()) GTEST_SKIP() << "needs a card";
  constexpr size_t kMebibyte = size_t{1} << 20, kItems = 17, kSpace = 20 * kMebibyte;
  for (const size_t most_pinned : {64 * kMebibyte, 5 * kMebibyte, size_t{0}}) {
    const std::unique_ptr<Backend> backend = make_cuda_backend(most_pinned);
    const std::unique_ptr<Queue> queue = backend->make_queue();
    const std::unique_ptr<Buffer> memory = backend->allocate(kSpace);
    std::vector<Transfers::Item> items;
    size_t offset = 0;
    const auto byte = [](size_t item, size_t i) { return static_cast<std::byte>((item + 1) * 37 + i % 251); };
    for (size_t item = 0; item < kItems; ++item) {
      const size_t bytes = (item % 5 + 1) * kMebibyte / 2 + item * 1000 + 1;
      if (offset + bytes > kSpace) offset = 0;
      items.push_back({memory->data() + offset, bytes, [=](std::byte* host) {
                         for (size_t i = 0; i < bytes; ++i) host[i] = byte(item, i);
                       }});
      offset += (bytes + 255) / 256 * 256;
    }
    const std::unique_ptr<Transfers> transfers = backend->make_transfers(*queue, items);
    for (int run = 0; run < 3; ++run) {
      transfers->watch(run == 1);
      // A few run ahead. The memory that an item overwrites has been read by then.
      constexpr uint32_t kAhead = 4;
      for (uint32_t item = 0; item < kAhead; ++item) transfers->start(item);
      for (uint32_t item = 0; item < kItems; ++item) {
        transfers->await(item);
        std::vector<std::byte> arrived(items[item].bytes);
        backend->download(*queue, arrived, items[item].to);
        if (item + kAhead < kItems) transfers->start(item + kAhead);
        size_t wrong = 0;
        for (size_t i = 0; i < arrived.size(); ++i) wrong += arrived[i] != byte(item, i) ? 1 : 0;
        EXPECT_EQ(wrong, 0u) << "item " << item << " in run " << run << ", " << most_pinned << " bytes may be locked";
      }
      transfers->finish();
      EXPECT_EQ(transfers->copied().size(), run == 1 ? kItems : 0u);
      for (uint32_t item = 0; item < kItems; ++item) transfers->start(item);
      if (run == 2) break;  // the end, with copies in progress
      transfers->finish();
      if (run == 1) {
        EXPECT_EQ(transfers->copied().size(), kItems);
      }
    }
  }
}

TEST(CudaTransfers, ThrowWhatPackingThrew) {
  if (!cuda_missing().empty()) GTEST_SKIP() << "needs a card";
  const std::unique_ptr<Backend> backend = make_cuda_backend(0);
  const std::unique_ptr<Queue> queue = backend->make_queue();
  const std::unique_ptr<Buffer> memory = backend->allocate(1);
  const auto fill = [](std::byte*) { fail(ErrorCode::bad_file, "the file is gone"); };
  const std::unique_ptr<Transfers> transfers = backend->make_transfers(*queue, {{memory->data(), 1, fill}});
  transfers->start(0);
  EXPECT_THROW(transfers->await(0), Error);
  EXPECT_NO_THROW(transfers->finish()) << "told before";
  transfers->start(0);
  EXPECT_THROW(transfers->finish(), Error);
}

bool any(const cuda::TuningChoice&) {
  return true;
}

bool none(const cuda::TuningChoice&) {
  return false;
}

TEST(CudaTuning, RemembersInItsFile) {
  const auto file = std::filesystem::path(testing::TempDir()) / "tempera-tuning" / "algorithms.txt";
  std::filesystem::remove_all(file.parent_path());
  const cuda::TuningKey key{"cuDNN 9.1.0", "product"};
  cuda::Tuning first(file, "card one"), later(file, "card one");
  first.settle(key, 1, "engine 4", 3.5, none);
  first.settle(key, 2, "engine 7", 3.25, none);
  for (cuda::Tuning* tuning : {&first, &later}) {
    ASSERT_NE(tuning->known(key), nullptr);
    EXPECT_EQ(tuning->known(key)->candidate, 2);
    EXPECT_EQ(tuning->known(key)->name, "engine 7");
    EXPECT_EQ(tuning->known({"cuDNN 9.2.0", "product"}), nullptr);
    EXPECT_EQ(tuning->known({"cuDNN 9.1.0", "another"}), nullptr);
  }
  EXPECT_EQ(cuda::Tuning(file, "card two").known(key), nullptr);
  std::filesystem::remove_all(file.parent_path());
}

// Two engines of one process, or two processes, that are open at the same time. Each of them read the file before the
// other one measured.
TEST(CudaTuning, ChoosesAsTheOtherEnginesThatAreOpen) {
  const auto file = std::filesystem::path(testing::TempDir()) / "tempera-tuning-two" / "algorithms.txt";
  std::filesystem::remove_all(file.parent_path());
  const cuda::TuningKey key{"library", "problem"};
  cuda::Tuning one(file, "card"), two(file, "card");
  EXPECT_EQ(one.known(key), nullptr);
  EXPECT_EQ(two.known(key), nullptr);
  EXPECT_EQ(one.settle(key, 1, "second", 2, any).candidate, 1);
  EXPECT_EQ(two.settle(key, 0, "first", 1.5, any).candidate, 1) << "it measured at the same time";
  EXPECT_EQ(two.known(key)->name, "second");
  const cuda::TuningKey other{"library", "other problem"};
  two.settle(other, 0, "first", 1, any);
  ASSERT_NE(one.known(other), nullptr) << "added since the file was read";
  EXPECT_EQ(cuda::read_tuning(file).size(), 2u);
  // Another file under the name: nothing of what is known is lost.
  std::filesystem::remove(file);
  EXPECT_EQ(one.known(key)->candidate, 1);
  EXPECT_EQ(cuda::Tuning(file, "card").settle(key, 3, "fourth", 1, any).candidate, 3);
  EXPECT_EQ(two.settle({"library", "third"}, 2, "x", 1, any).candidate, 2);
  EXPECT_EQ(cuda::read_tuning(file).size(), 2u);
  std::filesystem::remove_all(file.parent_path());
}

TEST(CudaTuning, AFileThatCannotBeReadIsNone) {
  const cuda::TuningKey key{"cuDNN 9.1.0", "product"};
  cuda::Tuning tuning(testing::TempDir(), "card");  // a folder
  EXPECT_EQ(tuning.known(key), nullptr);
  tuning.settle(key, 1, "engine 4", 3.5, any);
  EXPECT_NE(tuning.known(key), nullptr);
}

// Nothing here needs a card, because known choices are not timed.
TEST(CudaTuning, TakesWhatIsKnownWhileItsNameIsTheSame) {
  cuda::Tuning tuning({}, "card");
  std::vector<std::string> asked;
  const auto candidate = [&asked](const std::string& name) {
    return cuda::Candidate{name, [&asked, name]() -> cuda::Enqueue {
                             asked.push_back(name);
                             return [](cudaStream_t) {};
                           }};
  };
  tuning.settle({"library", "problem"}, 1, "second", 1, any);
  EXPECT_TRUE(cuda::fastest(tuning, {"library", "problem"}, {candidate("first"), candidate("second")}, nullptr));
  EXPECT_THAT(asked, testing::ElementsAre("second"));
  // With another order of candidates, or fewer, it would be measured. Here no candidate can run.
  const cuda::Candidate nothing{"first", [&asked]() -> cuda::Enqueue {
                                  asked.push_back("nothing");
                                  return {};
                                }};
  EXPECT_FALSE(cuda::fastest(tuning, {"library", "problem"}, {nothing}, nullptr));
  EXPECT_FALSE(cuda::fastest(tuning, {"library", "problem"}, {nothing, nothing}, nullptr));
  EXPECT_THAT(asked, testing::ElementsAre("second", "nothing", "nothing", "nothing"));
}

class CudaCard : public testing::Test {
 protected:
  void SetUp() override {
    if (!cuda_missing().empty()) GTEST_SKIP() << "there is no card";
    backend_ = make_cuda_backend();
    queue_ = backend_->make_queue();
  }

  std::vector<float> read(Buffer& buffer) {
    std::vector<float> values(buffer.size() / sizeof(float));
    backend_->download(*queue_, std::as_writable_bytes(std::span(values)), buffer.data());
    return values;
  }

  std::unique_ptr<Backend> backend_;
  std::unique_ptr<Queue> queue_;
};

TEST_F(CudaCard, CopiesRowsOneBehindTheOther) {
  std::vector<float> values(7 * 5);
  for (size_t i = 0; i < values.size(); ++i) values[i] = static_cast<float>(i);
  const auto from = backend_->allocate(values.size() * sizeof(float)), to = backend_->allocate(6 * sizeof(float));
  backend_->upload(*queue_, from->data(), std::as_bytes(std::span(values)));
  backend_->copy(*queue_, to->data(),
                 {from->data() + (2 * 7 + 4) * sizeof(float), 3, 2 * sizeof(float), 7 * sizeof(float)});
  EXPECT_THAT(read(*to), testing::ElementsAre(18, 19, 25, 26, 32, 33));
  const size_t bytes = 6 * sizeof(float);
  backend_->copy(*queue_, to->data(), {from->data(), 1, bytes, bytes});
  EXPECT_THAT(read(*to), testing::ElementsAre(0, 1, 2, 3, 4, 5));
}

}  // namespace
}  // namespace tempera
