// The metadata of GGUF files: keys with typed values.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "weights/gguf_cursor.h"

namespace tempera {

inline constexpr size_t kMaxGgufRank = 4;

// The values that this program reads.
struct GgufMetadata {
  uint64_t alignment = 32;   // general.alignment, a power of two
  std::string architecture;  // general.architecture
  // comfy.gguf.orig_shape.NAME by NAME: outermost first, positive.
  std::map<std::string, std::vector<int64_t>, std::less<>> original_shapes;
};

// Reads `count` keys. Throws Error(bad_file): unknown types, values of a wrong type, lengths beyond the end of the
// file, arrays of arrays, a key twice.
GgufMetadata read_gguf_metadata(GgufCursor& file, uint64_t count);

}  // namespace tempera
