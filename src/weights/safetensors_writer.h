// Writes safetensors files that do not fit into memory: first all tensors are declared, then the bytes follow in order.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "base/atomic_file.h"
#include "base/dtype.h"

namespace tempera {

struct TensorSpec {
  std::string name;
  DType dtype = DType::f32;
  std::vector<int64_t> dims;

  uint64_t bytes() const;
};

// The beginning of a file with these tensors in this order: the length and the JSON header, padded with spaces so that
// the data begins at a multiple of 64 bytes. Names must differ and not be "__metadata__".
std::string safetensors_header(std::span<const TensorSpec> tensors,
                               const std::map<std::string, std::string>& metadata = {});

// The file is at `path` when it is complete. Before that, there is no file.
class SafetensorsWriter {
 public:
  // Throws Error(io) when `path` cannot be written. This holds for all functions below.
  SafetensorsWriter(const std::filesystem::path& path, std::span<const TensorSpec> tensors,
                    const std::map<std::string, std::string>& metadata = {});

  // The next bytes of the tensors, dense, row-major, little-endian, in pieces of any size.
  void append(std::span<const std::byte> bytes);
  // Throws Error(internal) unless exactly the declared bytes were appended.
  void commit();

 private:
  AtomicFile file_;
  uint64_t missing_ = 0;  // bytes declared and not yet appended
};

}  // namespace tempera
