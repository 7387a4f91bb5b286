// SHA-256 of files. nettle computes it, with the SHA instructions of the processor if it has them.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>

namespace tempera {

struct HashCallbacks {
  std::function<void(uint64_t done, uint64_t total)> progress = {};  // bytes
  std::function<bool()> cancelled = {};                              // polled for each MiB
};

// Of the bytes from `first` on. 64 hexadecimal digits in small letters. Throws Error(io) if the file cannot be read,
// Error(cancelled).
std::string sha256_of_file(const std::filesystem::path& file, const HashCallbacks& callbacks = {}, uint64_t first = 0);

std::string nettle_library_version();  // "3.8"

}  // namespace tempera
