// Host memory as a Buffer: anonymous pages, huge pages if the system has them, zero when new.
#pragma once

#include <cstddef>
#include <memory>

#include "backend/backend.h"

namespace tempera {

// At least `bytes`, aligned to 64 bytes (to 2 MiB when it is that large). Throws Error(out_of_memory) if
// free_host_memory() is less.
std::unique_ptr<Buffer> allocate_host_buffer(size_t bytes);

}  // namespace tempera
