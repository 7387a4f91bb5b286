// JSON in its printed form: indented, one final line break, and always valid UTF-8, even if the name of a file is not.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

namespace tempera::cli {

inline std::string json_text(const nlohmann::ordered_json& json) {
  return json.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n";
}

}  // namespace tempera::cli
