// glibc's allocator in this process, set so that pictures drawn on a CPU keep to the plan of their memory. The library
// leaves the allocator as it is, because that belongs to the program.
#pragma once

#include "tempera/tempera.h"

namespace tempera::cli {

// From now on blocks of 256 KiB and more are no part of the heap and go back to the system when they are freed.
// oneDNN's products allocate 0.6 MB for each thread in every call, aligned, which makes the heap grow by tens of
// megabytes of holes. If the address space is limited (ulimit -v), all threads use one heap.
void keep_large_blocks_apart();

// `callbacks` for one request. In addition, they return freed heap memory to the system once, after planning, because
// parsing and planning leave megabytes. `callbacks` must have progress.
Callbacks trimmed_after_planning(Callbacks callbacks);

}  // namespace tempera::cli
