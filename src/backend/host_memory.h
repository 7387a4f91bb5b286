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

// Gives the system back what the heap keeps of memory that was freed: parsing and planning leave megabytes.
void return_freed_memory();

// From now on blocks of 256 KiB and more are no part of the heap and go back to the system when they are freed. For
// libraries that take such blocks in every call: oneDNN's products take 0.6 MB for each thread, aligned, which makes
// the heap grow by tens of megabytes of holes.
void keep_large_blocks_apart();

// Backend::copy.
void copy_rows(std::byte* to, const DeviceRows& from);

std::unique_ptr<Transfers> make_host_transfers(std::vector<Transfers::Item> items);

}  // namespace tempera
