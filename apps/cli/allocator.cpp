#include "allocator.h"

#include <malloc.h>

#include <utility>

namespace tempera::cli {

void keep_large_blocks_apart() {
#ifdef __GLIBC__
  mallopt(M_MMAP_THRESHOLD, 256 << 10);  // once set, glibc does not adapt the value to freed sizes
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
