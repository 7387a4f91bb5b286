// Any bytes are parsed or give Error(bad_file). The result is that of the reference parser, and input that the
// reference parser refuses is not accepted.
#include <cstdint>
#include <cstdlib>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/json.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  nlohmann::json value;
  try {
    value = tempera::parse_json(text, "fuzz", {.max_bytes = 1 << 20, .max_values = 10'000, .max_depth = 16});
  } catch (const tempera::Error& error) {
    if (error.code() != tempera::ErrorCode::bad_file) std::abort();
    return 0;
  }
  if (value != nlohmann::json::parse(text)) std::abort();
  return 0;
}
