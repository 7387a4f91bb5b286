// What an adapter or an embedding changes, as text and as JSON.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

#include "tempera/models.h"

namespace tempera::cli {

// The lines of `tempera models info`, and those that only adapters have.
std::string adapter_text(const AdapterInfo& info);
nlohmann::ordered_json adapter_json(const AdapterInfo& info);

}  // namespace tempera::cli
