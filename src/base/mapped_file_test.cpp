#include "base/mapped_file.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>
#include <numeric>
#include <string>
#include <vector>

#include "base/error.h"

namespace tempera {
namespace {

constexpr size_t kMebibyte = size_t{1} << 20;

class MappedFileTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::vector<char> values(8 * kMebibyte);
    for (size_t i = 0; i < values.size(); ++i) values[i] = static_cast<char>(i / 4096);
    std::ofstream(path_, std::ios::binary).write(values.data(), static_cast<std::streamsize>(values.size()));
  }
  void TearDown() override { std::filesystem::remove(path_); }

  // Kilobytes of the mapping that are resident in this process, as the system counts them.
  size_t resident(const MappedFile& file) const {
    std::ifstream smaps("/proc/self/smaps");
    size_t kilobytes = 0;
    bool mine = false;
    for (std::string line; std::getline(smaps, line);) {
      if (line.find('-') < line.find(' ')) mine = line.ends_with(path_.string());  // a mapping's first line
      if (mine && line.starts_with("Rss:")) kilobytes += std::stoul(line.substr(4));
    }
    EXPECT_EQ(file.bytes().size(), 8 * kMebibyte);
    return kilobytes;
  }

  static int64_t sum(std::span<const std::byte> bytes) {
    return std::accumulate(bytes.begin(), bytes.end(), int64_t{0},
                           [](int64_t total, std::byte b) { return total + static_cast<int64_t>(b); });
  }

  const std::filesystem::path path_ =
      std::filesystem::temp_directory_path() / ("tempera-mapped-" + std::to_string(getpid()));
};

// Tensors that begin and end within pages, in another order than in the file: no page of them stays.
TEST_F(MappedFileTest, ReleasesAllThatWasTouched) {
  const MappedFile file(path_);
  const int64_t all = sum(file.bytes());
  EXPECT_GE(resident(file), 8u * 1024);
  file.release(file.bytes());
  EXPECT_EQ(resident(file), 0u);
  constexpr size_t kTensor = 100'000;
  for (size_t order = 0; order < 80; ++order) {
    const auto tensor = file.bytes().subspan(order * 37 % 80 * kTensor, kTensor);
    EXPECT_GE(sum(tensor), 0);
    file.release(tensor);
  }
  EXPECT_EQ(resident(file), 0u);
  EXPECT_EQ(sum(file.bytes()), all);
}

// Opening a pipe for reading waits for a writer.
TEST_F(MappedFileTest, RefusesANamedPipe) {
  std::filesystem::remove(path_);
  ASSERT_EQ(mkfifo(path_.c_str(), 0600), 0);
  EXPECT_THROW(MappedFile{path_}, Error);
}

TEST_F(MappedFileTest, ReleasesNothingElse) {
  const MappedFile file(path_);
  EXPECT_NE(sum(file.bytes()), 0);
  file.release({});
  EXPECT_GE(resident(file), 8u * 1024);
  file.release(file.bytes().first(kMebibyte));
  const size_t left = resident(file);
  EXPECT_GE(left, 4u * 1024);  // a large page is released as a whole
  EXPECT_LE(left, 7u * 1024);
}

TEST_F(MappedFileTest, RefusesWhatIsNoFile) {
  EXPECT_THROW(MappedFile{"/nowhere/at/all"}, Error);
  EXPECT_THROW(MappedFile{std::filesystem::temp_directory_path()}, Error);
}

}  // namespace
}  // namespace tempera
