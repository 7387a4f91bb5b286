// Entries of the list of models.
#pragma once

#include "source/catalog/scan.h"
#include "tempera/models.h"

namespace tempera {

// Reads its header and the files next to it.
ModelEntry entry_of(const FoundModel& model);

// The model at a path that locate() returned.
FoundModel found_at(const std::filesystem::path& path);

}  // namespace tempera
