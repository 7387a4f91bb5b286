#include "allocator.h"

#include <malloc.h>
#include <sys/resource.h>

#include <utility>

namespace tempera::cli {

void keep_large_blocks_apart() {
#ifdef __GLIBC__
  mallopt(M_MMAP_THRESHOLD, 256 << 10);  // once set, glibc does not adapt the value to freed sizes
  // A separate heap for each thread would reserve 64 MB or more of the address space.
  rlimit space{};
  if (getrlimit(RLIMIT_AS, &space) == 0 && space.rlim_cur != RLIM_INFINITY) mallopt(M_ARENA_MAX, 1);
#endif
}

Callbacks trimmed_after_planning(Callbacks callbacks) {
#ifdef __GLIBC__
  callbacks.progress = [report = std::move(callbacks.progress), trimmed = false](const Progress& progress) mutable {
    // The first report of a request is made after planning and before the long part.
    if (!std::exchange(trimmed, true)) malloc_trim(0);
    report(progress);
  };
#endif
  return callbacks;
}

}  // namespace tempera::cli
