// The shared part of backends in host memory: the size of free memory, and transfers. A thread fills the items while
// the caller works.
#pragma once

#include "backend/backend.h"

namespace tempera {

// Bytes of the host's memory that a process can use without swapping (Linux: MemAvailable), within its control group's
// limit.
size_t free_host_memory();
// All memory, within the control group's limit.
size_t total_host_memory();

// Backend::copy.
void copy_rows(std::byte* to, const DeviceRows& from);

// The writing thread assumes that the caller's thread_count() threads compute meanwhile.
std::unique_ptr<Transfers> make_host_transfers(std::vector<Transfers::Item> items);

}  // namespace tempera
