#include "base/staging_folder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/error.h"
#include "support/files.h"

namespace tempera {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
namespace fs = std::filesystem;

std::string message_of(const std::function<void()>& call, ErrorCode code) {
  try {
    call();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), code) << error.what();
    return error.what();
  }
  return "";
}

TEST(StagingFolder, AFileAppearsWhole) {
  const TemporaryFolder folder;
  {
    StagingFolder staging(folder / "a.bin");
    write_file(staging.path() / "a.bin", "content");
    EXPECT_FALSE(fs::exists(folder / "a.bin"));
    staging.commit_file();
  }
  EXPECT_THAT(folder.names(), ElementsAre("a.bin"));
  EXPECT_EQ(fs::file_size(folder / "a.bin"), 7u);
}

TEST(StagingFolder, AFolderAppearsWhole) {
  const TemporaryFolder folder;
  fs::create_directories(folder / "empty");
  for (const char* name : {"new", "empty", "slash/"}) {
    StagingFolder staging(folder / name);
    write_file(staging.path() / "part/b", "content");
    staging.commit_folder();
    EXPECT_TRUE(fs::exists(folder / name / "part/b"));
  }
  EXPECT_THAT(folder.names(), ElementsAre("empty", "new", "slash"));
}

TEST(StagingFolder, NothingStaysWithoutCommit) {
  const TemporaryFolder folder;
  {
    const StagingFolder staging(folder / "a");
    write_file(staging.path() / "b", "");
  }
  EXPECT_THAT(folder.names(), IsEmpty());
}

TEST(StagingFolder, NeverReplaces) {
  const TemporaryFolder folder;
  write_file(folder / "file", "");
  write_file(folder / "full/b", "");
  for (const char* name : {"file", "full"})
    EXPECT_THAT(message_of([&] { const StagingFolder staging(folder / name); }, ErrorCode::invalid_argument),
                HasSubstr("exists already"));
  StagingFolder staging(folder / "late");
  write_file(staging.path() / "late", "new");
  write_file(folder / "late", "of another process");
  EXPECT_THAT(message_of([&] { staging.commit_file(); }, ErrorCode::invalid_argument), HasSubstr("exists already"));
  EXPECT_THAT(message_of([&] { staging.commit_folder(); }, ErrorCode::invalid_argument), HasSubstr("exists already"));
  EXPECT_EQ(fs::file_size(folder / "late"), 18u);
}

TEST(StagingFolder, NamesAMissingFolder) {
  const TemporaryFolder folder;
  EXPECT_THAT(message_of([&] { const StagingFolder staging(folder / "missing/a"); }, ErrorCode::io),
              HasSubstr("missing' does not exist"));
}

TEST(StagingFolder, RemovesThoseOfKilledProcesses) {
  const TemporaryFolder folder;
  const pid_t child = fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    const StagingFolder staging(folder / "a");
    write_file(staging.path() / "b", "half");
    ::raise(SIGKILL);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  ASSERT_TRUE(WIFSIGNALED(status));
  ASSERT_EQ(folder.names().size(), 1u);
  const std::string killed = folder.names()[0];
  write_file(folder / ".a.0123456789abcdeg.tmp/of another program", "");
  {
    const StagingFolder running(folder / "a");
    EXPECT_FALSE(fs::exists(folder / killed));
    const StagingFolder second(folder / "a");
    EXPECT_TRUE(fs::exists(running.path()));
    EXPECT_NE(running.path(), second.path());
  }
  EXPECT_THAT(folder.names(), ElementsAre(".a.0123456789abcdeg.tmp"));
}

}  // namespace
}  // namespace tempera
