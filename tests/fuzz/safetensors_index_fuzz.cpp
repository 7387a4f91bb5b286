// Any bytes are an index of shards or give Error(bad_file). An accepted index has no names outside of the folder.
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <string_view>

#include "base/error.h"
#include "weights/safetensors.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  try {
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    for (const auto& [tensor, shard] : tempera::parse_safetensors_index(text, "fuzz")) {
      const std::filesystem::path path(shard);
      if (path.filename() != path || path == ".." || shard.find('\0') != std::string::npos) std::abort();
    }
  } catch (const tempera::Error& error) {
    if (error.code() != tempera::ErrorCode::bad_file) std::abort();
  }
  return 0;
}
