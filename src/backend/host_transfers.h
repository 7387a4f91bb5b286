// Transfers where device memory is the host's: a thread writes what is asked for beside the work of the caller.
#pragma once

#include "backend/backend.h"

namespace tempera {

std::unique_ptr<Transfers> make_host_transfers(std::vector<Transfers::Item> items);

}  // namespace tempera
