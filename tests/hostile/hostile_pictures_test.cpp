// Hostile pictures (tools/make_hostile_pictures.py): an error, or the picture without its hostile metadata, in less
// than a second; and less than 512 MB of memory, also for the largest valid pictures.
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "base/error.h"
#include "image/picture_file.h"
#include "sanitized.h"

namespace tempera::test {
namespace {

namespace fs = std::filesystem;

const fs::path kFiles = TEMPERA_HOSTILE_PICTURES;
// The address sanitizer keeps freed memory.
constexpr size_t kMostMegabytes = kSanitized ? 2048 : 512;

std::vector<fs::path> files(const char* folder) {
  std::vector<fs::path> found;
  for (const auto& entry : fs::directory_iterator(kFiles / folder)) found.push_back(entry.path());
  std::sort(found.begin(), found.end());
  return found;
}

// The highest resident memory of this process so far, in megabytes.
size_t peak_megabytes() {
  std::ifstream status("/proc/self/status");
  std::string word;
  size_t kibibytes = 0;
  while (status >> word)
    if (word == "VmHWM:") status >> kibibytes;
  return kibibytes * 1024 / 1'000'000;
}

struct Outcome {
  std::string fault;  // "" if the file was read
  double seconds;
};

Outcome read(const fs::path& path) {
  const auto start = std::chrono::steady_clock::now();
  Outcome outcome;
  try {
    load_picture(path);
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::bad_file) << path;
    outcome.fault = error.what();
  }
  outcome.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return outcome;
}

void expect_each(const char* folder, size_t least_files, bool readable) {
  const std::vector<fs::path> paths = files(folder);
  double slowest = 0;
  for (const fs::path& path : paths) {
    const Outcome outcome = read(path);
    EXPECT_EQ(outcome.fault.empty(), readable) << path << ' ' << outcome.fault;
    EXPECT_LT(outcome.seconds, kMostSeconds) << path;
    slowest = std::max(slowest, outcome.seconds);
  }
  EXPECT_GE(paths.size(), least_files);
  EXPECT_LT(peak_megabytes(), kMostMegabytes);
  fmt::print("{} files of {}: the slowest took {:.3f} s, at most {} MB were resident\n", paths.size(), folder, slowest,
             peak_megabytes());
}

TEST(HostilePictures, AreRefused) {
  expect_each("refused", 110, false);
}

TEST(HostilePictures, AreReadWithoutTheirMetadata) {
  expect_each("readable", 28, true);
}

// These are no errors, so their time depends on the machine only.
TEST(HostilePictures, TheLargestPicturesFitInMemory) {
  for (const fs::path& path : files("large")) {
    EXPECT_EQ(read(path).fault, "") << path;
    EXPECT_LT(peak_megabytes(), kMostMegabytes) << path;
  }
  fmt::print("the largest pictures: at most {} MB were resident\n", peak_megabytes());
}

}  // namespace
}  // namespace tempera::test
