#include "source/catalog/hash_store.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>

#include "base/error.h"
#include "support/files.h"

namespace tempera {
namespace {

namespace fs = std::filesystem;

// FIPS 180-4's example: the hash of "abc".
constexpr const char* kAbc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
constexpr const char* kNothing = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

class HashStore : public testing::Test {
 protected:
  HashStore() {
    setenv("XDG_CACHE_HOME", folder_.path().c_str(), 1);
    write_file(file_, "abc");
  }
  ~HashStore() override { unsetenv("XDG_CACHE_HOME"); }

  TemporaryFolder folder_;
  const fs::path file_ = folder_ / "model.safetensors";
};

TEST_F(HashStore, ComputesSha256) {
  EXPECT_EQ(sha256_of_file(file_), kAbc);
  write_file(file_, "");
  EXPECT_EQ(sha256_of_file(file_), kNothing);
  // FIPS 180-2: a million letters "a".
  write_file(file_, std::string(1'000'000, 'a'));
  EXPECT_EQ(sha256_of_file(file_), "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

TEST_F(HashStore, KnowsWhatItComputed) {
  EXPECT_EQ(known_hash(file_), std::nullopt);
  EXPECT_FALSE(fs::exists(hash_database())) << "a question makes no database";
  EXPECT_EQ(hash_of(file_), kAbc);
  EXPECT_EQ(known_hash(file_), kAbc);
  fs::rename(file_, folder_ / "renamed");
  EXPECT_EQ(known_hash(folder_ / "renamed"), kAbc);
}

TEST_F(HashStore, ForgetsFilesThatChanged) {
  hash_of(file_);
  const auto time = fs::last_write_time(file_);
  write_file(file_, "abd");
  fs::last_write_time(file_, time + std::chrono::nanoseconds(1));
  EXPECT_EQ(known_hash(file_), std::nullopt);
  EXPECT_NE(hash_of(file_), kAbc);
  EXPECT_EQ(hash_of(file_), known_hash(file_));
}

TEST_F(HashStore, ComputesOnceMoreOnRequest) {
  const auto time = fs::last_write_time(file_);
  hash_of(file_);
  write_file(file_, "xyz");
  fs::last_write_time(file_, time);  // as a fault of the disk leaves it
  EXPECT_EQ(hash_of(file_), kAbc);
  EXPECT_NE(computed_hash(file_), kAbc);
  EXPECT_NE(known_hash(file_), kAbc);
}

TEST_F(HashStore, DoesWithoutADatabase) {
  write_file(hash_database(),
             "no database, but some text that is longer than the header of one: " + std::string(200, '.'));
  EXPECT_EQ(known_hash(file_), std::nullopt);
  EXPECT_EQ(hash_of(file_), kAbc);
  EXPECT_EQ(known_hash(file_), kAbc) << "a damaged cache is replaced";
  setenv("XDG_CACHE_HOME", "/proc/none", 1);
  EXPECT_EQ(hash_of(file_), kAbc);
  EXPECT_EQ(known_hash(file_), std::nullopt);
}

TEST_F(HashStore, SaysWhyAFileHasNone) {
  EXPECT_EQ(known_hash(folder_ / "none"), std::nullopt);
  EXPECT_EQ(known_hash(folder_.path()), std::nullopt);
  try {
    hash_of(folder_ / "none");
    ADD_FAILURE();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::io);
    EXPECT_THAT(error.what(), testing::HasSubstr("cannot read '"));
  }
  EXPECT_THROW(hash_of(file_, {.cancelled = [] { return true; }}), Error);
  EXPECT_EQ(known_hash(file_), std::nullopt);
}

TEST_F(HashStore, FileThatGrowsHasNone) {
  const auto grow = [&](uint64_t, uint64_t) { write_file(file_, "abcdef"); };
  EXPECT_THROW(hash_of(file_, {.progress = grow}), Error);
  EXPECT_EQ(known_hash(file_), std::nullopt);
}

TEST_F(HashStore, SeveralProcessesWriteAtOnce) {
  constexpr int kProcesses = 4, kFiles = 25;
  for (int i = 0; i < kProcesses * kFiles; ++i) write_file(folder_ / ("f" + std::to_string(i)), std::to_string(i));
  std::vector<pid_t> children;
  for (int process = 0; process < kProcesses; ++process) {
    const pid_t child = fork();
    if (child == 0) {
      for (int i = 0; i < kFiles; ++i) hash_of(folder_ / ("f" + std::to_string(process * kFiles + i)));
      _exit(0);
    }
    children.push_back(child);
  }
  for (const pid_t child : children) {
    int status = -1;
    waitpid(child, &status, 0);
    EXPECT_EQ(status, 0);
  }
  for (int i = 0; i < kProcesses * kFiles; ++i) EXPECT_TRUE(known_hash(folder_ / ("f" + std::to_string(i)))) << i;
}

}  // namespace
}  // namespace tempera
