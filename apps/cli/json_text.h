// JSON as it is printed: indented, one final line break, and always valid UTF-8, whatever a file is called.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

namespace tempera::cli {

inline std::string json_text(const nlohmann::ordered_json& json) {
  return json.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n";
}

}  // namespace tempera::cli
