// After every error, the target is whole or unchanged, and no temporary file stays.
#include "base/atomic_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include <cerrno>
#include <csignal>
#include <cstddef>
#include <functional>
#include <string>
#include <thread>
#include <vector>

#include "base/error.h"
#include "base/json.h"

namespace tempera {
namespace {
namespace fs = std::filesystem;
using testing::HasSubstr;

std::span<const std::byte> bytes(std::string_view text) {
  return std::as_bytes(std::span(text));
}

std::string message_of(const std::function<void()>& call, ErrorCode code = ErrorCode::io) {
  try {
    call();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), code) << error.what();
    return error.what();
  }
  return "";
}

class AtomicFileTest : public testing::Test {
 protected:
  AtomicFileTest() {
    std::string name = (fs::temp_directory_path() / "tempera-atomic-XXXXXX").string();
    folder_ = ::mkdtemp(name.data());
  }
  ~AtomicFileTest() override { fs::remove_all(folder_); }

  std::string content(const char* name) const { return read_text_file(folder_ / name, 1 << 20); }
  std::vector<std::string> names() const {
    std::vector<std::string> found;
    for (const auto& entry : fs::directory_iterator(folder_)) found.push_back(entry.path().filename().string());
    return found;
  }
  fs::path folder_;
};

TEST_F(AtomicFileTest, AppearsOnCommitOnly) {
  {
    AtomicFile file(folder_ / "a");
    file.append(bytes("hello "));
    file.append(bytes("world"));
    EXPECT_FALSE(fs::exists(folder_ / "a"));
    EXPECT_EQ(names().size(), 1u);
    file.commit();
    EXPECT_EQ(content("a"), "hello world");
  }
  EXPECT_THAT(names(), testing::ElementsAre("a"));
}

TEST_F(AtomicFileTest, WithoutCommitNothingStays) {
  write_file_atomically(folder_ / "a", bytes("old"));
  {
    AtomicFile file(folder_ / "a");
    file.append(bytes("new"));
  }
  EXPECT_EQ(content("a"), "old");
  EXPECT_THAT(names(), testing::ElementsAre("a"));
}

TEST_F(AtomicFileTest, ReplacesOrRefuses) {
  write_file_atomically(folder_ / "a", bytes("old"));
  write_file_atomically(folder_ / "a", bytes(""));
  EXPECT_EQ(content("a"), "");
  EXPECT_THAT(message_of([&] { write_file_atomically(folder_ / "a", bytes("x"), IfExists::fail); },
                         ErrorCode::invalid_argument),
              HasSubstr("exists already and is not overwritten"));
  write_file_atomically(folder_ / "b", bytes("b"), IfExists::fail);
  EXPECT_EQ(content("b"), "b");
}

TEST_F(AtomicFileTest, RefusesWhatAppearedMeanwhile) {
  {
    AtomicFile file(folder_ / "a", IfExists::fail);
    file.append(bytes("mine"));
    write_file_atomically(folder_ / "a", bytes("theirs"));
    EXPECT_THAT(message_of([&] { file.commit(); }, ErrorCode::invalid_argument), HasSubstr("exists already"));
  }
  EXPECT_EQ(content("a"), "theirs");
  EXPECT_THAT(names(), testing::ElementsAre("a"));
}

TEST_F(AtomicFileTest, WritesAtOffsets) {
  AtomicFile file(folder_ / "a");
  file.write_at(4, bytes("5678"));
  file.append(bytes("ab"));
  file.write_at(6, bytes("!"));
  file.append(bytes("c"));
  file.commit();
  EXPECT_EQ(content("a"), std::string("abc\0"
                                      "56!8",
                                      8));
}

TEST_F(AtomicFileTest, HasTheModeOfAnOrdinaryFile) {
  const mode_t before = ::umask(0027);
  write_file_atomically(folder_ / "a", bytes("x"));
  ::umask(before);
  EXPECT_EQ(fs::status(folder_ / "a").permissions(), static_cast<fs::perms>(0640));
}

TEST_F(AtomicFileTest, TakesTheLongestName) {
  const std::string name(255, 'n');
  write_file_atomically(folder_ / name, bytes("x"));
  EXPECT_EQ(content(name.c_str()), "x");
}

TEST_F(AtomicFileTest, NamesWhatCannotBeWritten) {
  EXPECT_THAT(message_of([&] { write_file_atomically(folder_ / "none" / "a", bytes("x")); }),
              testing::AllOf(HasSubstr("none/a'"), HasSubstr("none' does not exist")));
  EXPECT_THAT(message_of([&] { write_file_atomically(folder_, bytes("x")); }), HasSubstr("Is a directory"));
  EXPECT_THAT(message_of([&] { write_file_atomically(folder_ / "", bytes("x")); }), HasSubstr("Is a directory"));
  EXPECT_THAT(message_of([&] { write_file_atomically("", bytes("x")); }), HasSubstr("cannot write ''"));
  EXPECT_THAT(message_of([&] { write_file_atomically("/dev/null", bytes("x")); }), HasSubstr("not a regular file"));
  EXPECT_TRUE(fs::is_character_file("/dev/null"));
  EXPECT_NE(message_of([&] { write_file_atomically(folder_ / std::string(256, 'n'), bytes("x")); }), "");
  EXPECT_TRUE(names().empty());
}

TEST_F(AtomicFileTest, SurvivesALimitOnTheSizeOfFiles) {
  write_file_atomically(folder_ / "a", bytes("old"));
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &before), 0);
  const auto handler = std::signal(SIGXFSZ, SIG_IGN);
  rlimit small = before;
  small.rlim_cur = 10'000;
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &small), 0);
  const std::string much(20'000, 'x');  // the first write is cut short, the second fails
  const std::string message = message_of([&] { write_file_atomically(folder_ / "a", bytes(much)); });
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &before), 0);
  std::signal(SIGXFSZ, handler);
  EXPECT_THAT(message, HasSubstr("/a': File too large"));
  EXPECT_EQ(content("a"), "old");
  EXPECT_THAT(names(), testing::ElementsAre("a"));
}

TEST_F(AtomicFileTest, SurvivesAFullDisk) {
  write_file_atomically(folder_ / "marker", bytes("outside"));
  bool mounted = false;
  std::string message;
  size_t left = 0;
  // Only this thread sees the mount, which ends with the thread.
  std::thread([&] {
    if (::unshare(CLONE_NEWNS) != 0 || ::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) return;
    if (::mount("tmpfs", folder_.c_str(), "tmpfs", 0, "size=64k") != 0) return;
    mounted = true;
    message = message_of([&] { write_file_atomically(folder_ / "big", bytes(std::string(100'000, 'x'))); });
    left = names().size();
    write_file_atomically(folder_ / "small", bytes("fits"));
  }).join();
  if (!mounted) GTEST_SKIP() << "mounting needs privileges";
  EXPECT_THAT(message, HasSubstr("/big': No space left on device: free some space"));
  EXPECT_EQ(left, 0u);
}

TEST_F(AtomicFileTest, SymbolicLinksStay) {
  fs::create_directory(folder_ / "disk");
  fs::create_symlink("disk/real", folder_ / "link");
  fs::create_symlink(folder_ / "link", folder_ / "to_link");
  for (const char* text : {"one", "two"}) {
    write_file_atomically(folder_ / "to_link", bytes(text));
    EXPECT_TRUE(fs::is_symlink(folder_ / "link"));
    EXPECT_EQ(content("disk/real"), text);
  }
  EXPECT_THAT(message_of([&] { write_file_atomically(folder_ / "link", bytes("x"), IfExists::fail); },
                         ErrorCode::invalid_argument),
              HasSubstr("exists already"));
}

// Makes the calls fail in this thread, as on file systems without them.
void forbid(std::initializer_list<std::pair<int, int>> calls_and_errors) {
  std::vector<sock_filter> filter = {BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr))};
  for (const auto& [call, error] : calls_and_errors) {
    filter.push_back(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, static_cast<uint32_t>(call), 0, 1));
    filter.push_back(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | static_cast<uint32_t>(error)));
  }
  filter.push_back(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW));
  const sock_fprog program{static_cast<unsigned short>(filter.size()), filter.data()};
  ASSERT_EQ(::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
  ASSERT_EQ(::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program), 0);
}

TEST_F(AtomicFileTest, NothingIsReplacedOnSimpleFileSystems) {
  std::thread([&] {
    forbid({{SYS_renameat2, EINVAL}, {SYS_link, EPERM}, {SYS_linkat, EPERM}});
    write_file_atomically(folder_ / "a", bytes("first"), IfExists::fail);
    EXPECT_EQ(content("a"), "first");
    AtomicFile late(folder_ / "b", IfExists::fail);
    late.append(bytes("late"));
    write_file_atomically(folder_ / "b", bytes("early"), IfExists::fail);
    EXPECT_THAT(message_of([&] { late.commit(); }, ErrorCode::invalid_argument), HasSubstr("exists already"));
  }).join();
  EXPECT_EQ(content("b"), "early");
  EXPECT_THAT(names(), testing::UnorderedElementsAre("a", "b"));
}

}  // namespace
}  // namespace tempera
