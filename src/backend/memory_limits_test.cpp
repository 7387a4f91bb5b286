// Made-up control groups, and limits of this process.
#include "backend/memory_limits.h"

#include <gtest/gtest.h>
#include <sys/resource.h>

#include <fstream>
#include <string>

#include "backend/host_memory.h"
#include "support/files.h"

namespace tempera {
namespace {
namespace fs = std::filesystem;

class ControlGroups : public testing::Test {
 protected:
  void write(const fs::path& name, const std::string& text) {
    fs::create_directories((folder_.path() / name).parent_path());
    std::ofstream(folder_.path() / name) << text << "\n";
  }
  void group(const fs::path& name, const std::string& limit, const std::string& used, const std::string& droppable) {
    write(name / "memory.max", limit);
    write(name / "memory.current", used);
    write(name / "memory.stat", "anon 1\ninactive_file " + droppable + "\nactive_file 7");
  }
  std::optional<MemoryLimit> limit() { return control_group_limit(folder_.path() / "self", folder_.path() / "cgroup"); }
  TemporaryFolder folder_;
};

TEST_F(ControlGroups, TheSmallestOfTheNestedOnesCounts) {
  write("self", "0::/user.slice/run-1.scope");
  EXPECT_FALSE(limit());
  group("cgroup/user.slice/run-1.scope", "1000", "300", "100");
  ASSERT_TRUE(limit());
  EXPECT_EQ(limit()->total, 1000u);
  EXPECT_EQ(limit()->free, 800u);
  group("cgroup/user.slice", "900", "600", "0");
  EXPECT_EQ(limit()->total, 900u);
  EXPECT_EQ(limit()->free, 300u);
  group("cgroup/user.slice", "max", "600", "0");
  EXPECT_EQ(limit()->total, 1000u);
  group("cgroup", "500", "900", "0");  // more than the limit, for a moment
  EXPECT_EQ(limit()->total, 500u);
  EXPECT_EQ(limit()->free, 0u);
}

TEST_F(ControlGroups, VersionOne) {
  write("self", "12:cpu,cpuacct:/\n4:memory:/slurm/job\n1:name=systemd:/x");
  write("cgroup/memory/slurm/job/memory.limit_in_bytes", "2000");
  write("cgroup/memory/slurm/job/memory.usage_in_bytes", "500");
  write("cgroup/memory/slurm/job/memory.stat", "inactive_file 3\ntotal_inactive_file 200");
  write("cgroup/memory/memory.limit_in_bytes", "9223372036854771712");
  write("cgroup/memory/memory.usage_in_bytes", "5000");
  ASSERT_TRUE(limit());
  EXPECT_EQ(limit()->total, 2000u);
  EXPECT_EQ(limit()->free, 1700u);
}

TEST_F(ControlGroups, OfAContainerWhoseOwnNameIsNotVisible) {
  write("self", "0::/docker/1a2b");
  group("cgroup", "700", "100", "0");
  ASSERT_TRUE(limit());
  EXPECT_EQ(limit()->free, 600u);
  fs::remove(folder_.path() / "self");  // no /proc
  ASSERT_TRUE(limit());
  EXPECT_EQ(limit()->free, 600u);
}

TEST(ProcessLimit, IsThatOfTheAddressSpace) {
  rlimit before{};
  ASSERT_EQ(getrlimit(RLIMIT_AS, &before), 0);
  const size_t free = free_host_memory();
  EXPECT_GT(free, size_t{1} << 20);
  rlimit limited = before;
  limited.rlim_cur = size_t{1} << 50;
  ASSERT_EQ(setrlimit(RLIMIT_AS, &limited), 0);
  const std::optional<MemoryLimit> limit = process_limit();
  ASSERT_EQ(setrlimit(RLIMIT_AS, &before), 0);
  ASSERT_TRUE(limit);
  EXPECT_EQ(limit->total, size_t{1} << 50);
  EXPECT_LT(limit->free, limit->total);
  EXPECT_GT(limit->free, size_t{1} << 49);
}

}  // namespace
}  // namespace tempera
