// The settings in a picture, as text and as JSON.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

#include "tempera/settings.h"

namespace tempera::cli {

// One line for each field, then hashes, remarks and settings that have no field.
std::string settings_text(const PictureSettings& settings);
// {"program", "fields": {name: text, or a list of texts for a field that repeats}, "hashes", "remarks", "unused"}
nlohmann::ordered_json settings_json(const PictureSettings& settings);

}  // namespace tempera::cli
