// Reads files of numpy.save: little-endian float32 or uint16 in C order, the only kinds in the reference. A uint16 is a
// share of 65535.
#pragma once

#include <cstdint>
#include <filesystem>
#include <vector>

namespace tempera::test {

struct Npy {
  std::vector<int64_t> shape;
  std::vector<float> values;
};

// Throws std::runtime_error for other files.
Npy read_npy(const std::filesystem::path& path);

}  // namespace tempera::test
