// Measurements for people (tables) and for machines (JSON; its fields are in docs/MEASURING.md).
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <span>
#include <string>

#include "tempera/bench.h"
#include "tempera/tempera.h"

namespace tempera::cli {

std::string ops_table(const BenchOps& bench);
nlohmann::ordered_json ops_json(const BenchOps& bench);
nlohmann::ordered_json ceilings_json(const Ceilings& ceilings);

// By card and library, the slowest first; one sentence if there are none.
std::string algorithms_table(const AlgorithmChoices& choices);
nlohmann::ordered_json algorithms_json(const AlgorithmChoices& choices);

// The text of the table of rows. docs/MEASURING.md describes the fields of `document`.
std::string table_text(const nlohmann::ordered_json& document);
std::string table_markdown(const nlohmann::ordered_json& document);

// Seconds per kernel row and stage, and the seconds of each stage outside kernels.
std::string trace_table(const Plan& plan, std::span<const TraceEvent> events);
nlohmann::ordered_json trace_json(const Plan& plan, std::span<const TraceEvent> events, const std::string& output);

}  // namespace tempera::cli
