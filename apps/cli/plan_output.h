// A plan for people (a table) and for machines (JSON).
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

#include "tempera/tempera.h"

namespace tempera::cli {

std::string plan_table(const Plan& plan);

// {"model", "device", "dtype", "width", "height", "scheduler", "peak_bytes", "memory": {parts}, "residency",
// "flops", "stages": [...]}, "choices" under a memory budget and "listing" when the plan has one.
nlohmann::ordered_json plan_json(const Plan& plan);

}  // namespace tempera::cli
