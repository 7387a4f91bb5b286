#include "backend/memory_limits.h"

#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <string>

#include "base/parallel.h"

namespace tempera {
namespace fs = std::filesystem;
namespace {

// The embedded model crashes inside oneDNN with 60 MiB, and runs with 96.
constexpr size_t kCodeSpace = 96 << 20;

// The names of a version's files.
struct Names {
  const char *limit, *used, *droppable;
};
constexpr Names kVersion2 = {"memory.max", "memory.current", "inactive_file"};
constexpr Names kVersion1 = {"memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"};

// The number at the beginning of the line after `key`, or of the file if that is empty. "max" is no number.
std::optional<size_t> number_in(const fs::path& path, const std::string& key = "") {
  std::ifstream file(path);
  std::string word;
  size_t number = 0;
  while (!key.empty() && file >> word && word != key) file.ignore(1 << 10, '\n');
  if (!(file >> number)) return std::nullopt;
  return number;
}

MemoryLimit left_of(size_t limit, size_t used) {
  return {limit, limit - std::min(limit, used)};
}

void add(std::optional<MemoryLimit>& least, const std::optional<MemoryLimit>& limit) {
  if (!limit) return;
  least = least ? MemoryLimit{std::min(least->total, limit->total), std::min(least->free, limit->free)} : *limit;
}

std::optional<MemoryLimit> limit_of_group(const fs::path& folder, const Names& names) {
  const std::optional<size_t> limit = number_in(folder / names.limit), used = number_in(folder / names.used);
  if (!limit || !used) return std::nullopt;
  const size_t droppable = number_in(folder / "memory.stat", names.droppable).value_or(0);
  return left_of(*limit, *used - std::min(*used, droppable));
}

// From the group up to the root. Groups that cannot be seen here, as in a container, are skipped.
void add_groups(std::optional<MemoryLimit>& least, const fs::path& root, const fs::path& group, const Names& names) {
  fs::path path = group.relative_path();
  add(least, limit_of_group(root / path, names));
  while (!path.empty()) {
    path = path.parent_path();
    add(least, limit_of_group(root / path, names));
  }
}

// The first two words of /proc/self/statm count pages; the sixth is the data and the stack.
std::optional<size_t> pages_of_process(int word) {
  std::ifstream file("/proc/self/statm");
  size_t pages = 0;
  for (int i = 0; i <= word; ++i)
    if (!(file >> pages)) return std::nullopt;
  return pages * static_cast<size_t>(sysconf(_SC_PAGESIZE));
}

std::optional<size_t> soft_limit(decltype(RLIMIT_AS) resource) {
  rlimit limit{};
  if (getrlimit(resource, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY) return std::nullopt;
  return limit.rlim_cur;
}

// Of the threads that compute, and of one that copies parameters.
size_t stacks() {
  return soft_limit(RLIMIT_STACK).value_or(8 << 20) * (static_cast<size_t>(thread_count()) + 1);
}

}  // namespace

std::optional<MemoryLimit> control_group_limit(const fs::path& self, const fs::path& mounted) {
  std::optional<MemoryLimit> least;
  std::ifstream file(self);
  // "0::/user.slice/run.scope" (version 2), "4:memory:/docker/1a2b" (version 1)
  for (std::string line; std::getline(file, line);) {
    const size_t first = line.find(':'), second = line.find(':', first + 1);
    if (first == std::string::npos || second == std::string::npos) continue;
    const std::string controllers = "," + line.substr(first + 1, second - first - 1) + ",";
    const fs::path group = line.substr(second + 1);
    if (controllers == ",,") add_groups(least, mounted, group, kVersion2);
    if (controllers.find(",memory,") != std::string::npos) add_groups(least, mounted / "memory", group, kVersion1);
  }
  // Without the list, as without /proc: the root, which in a container is its own group.
  if (!least) add(least, limit_of_group(mounted, kVersion2));
  return least;
}

std::optional<MemoryLimit> process_limit() {
  std::optional<MemoryLimit> least;
  const size_t needed = kCodeSpace + stacks();
  if (const std::optional<size_t> limit = soft_limit(RLIMIT_AS))
    add(least, left_of(*limit, pages_of_process(0).value_or(0) + needed));
  if (const std::optional<size_t> limit = soft_limit(RLIMIT_DATA))
    add(least, left_of(*limit, pages_of_process(5).value_or(0) + needed));
  return least;
}

}  // namespace tempera
