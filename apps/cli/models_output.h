// Models as text and as JSON.
#pragma once

#include <map>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "tempera/models.h"

namespace tempera::cli {

// A line for each model, and one for each note below it.
std::string models_table(const std::vector<ModelEntry>& models);
std::string model_text(const ModelEntry& model);
std::string check_text(const ModelCheck& check);

// Without the control characters of texts from files, which must not reach the terminal.
std::string visible(std::string_view text);
// The metadata of a file, each text on one line and cut if it is long.
std::string metadata_text(const std::map<std::string, std::string>& metadata);

nlohmann::ordered_json models_json(const std::vector<ModelEntry>& models);
nlohmann::ordered_json model_json(const ModelEntry& model);  // with all of its metadata
nlohmann::ordered_json check_json(const ModelCheck& check);

}  // namespace tempera::cli
