// Limits that the system sets to the memory of this process, below the memory that is free on the machine.
#pragma once

#include <cstddef>
#include <filesystem>
#include <optional>

namespace tempera {

// A limit of memory and the part of it that is left, in bytes.
struct MemoryLimit {
  size_t total = 0;
  size_t free = 0;
};

// The control groups of the process (Linux, version 1 and 2): `self` is the list of its groups (/proc/self/cgroup),
// `mounted` the folder of the hierarchies (/sys/fs/cgroup). A group has the limits of all groups above it too, so the
// result has the smallest total and the smallest free part. Pages of files that the system can drop count as free.
// Nothing if no group has a limit.
std::optional<MemoryLimit> control_group_limit(const std::filesystem::path& self = "/proc/self/cgroup",
                                               const std::filesystem::path& mounted = "/sys/fs/cgroup");

// The address space and the data of the process (RLIMIT_AS and RLIMIT_DATA: ulimit -v and -d), the smaller one. Of the
// free part, the stacks of this thread's team are subtracted, and space for the machine code that
// oneDNN generates: oneDNN does not check whether it got any.
std::optional<MemoryLimit> process_limit();

}  // namespace tempera
