// What backends share whose device memory is the host's: how much there is, and transfers: a thread writes what is
// asked for beside the work of the caller.
#pragma once

#include "backend/backend.h"

namespace tempera {

// Bytes of the host's memory that a process can have without others being swapped out (Linux: MemAvailable), within its
// control group's limit.
size_t free_host_memory();
// All of it, within the control group's limit.
size_t total_host_memory();

// Backend::copy.
void copy_rows(std::byte* to, const DeviceRows& from);

// The thread that writes counts the caller's thread_count() as the threads that compute meanwhile.
std::unique_ptr<Transfers> make_host_transfers(std::vector<Transfers::Item> items);

}  // namespace tempera
