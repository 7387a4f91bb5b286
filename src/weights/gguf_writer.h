// Writes GGUF files that do not fit into memory, as stable-diffusion.cpp writes them: no general.architecture, tensors
// under their own names. First all tensors are declared, then the bytes follow in order.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "base/atomic_file.h"
#include "weights/checkpoint.h"

namespace tempera {

struct GgufSpec {
  std::string name;
  DType dtype = DType::f32;
  std::vector<int64_t> dims;          // outermost first, 1 to 4
  const BlockType* blocks = nullptr;  // instead of dtype; the last dimension is then a multiple of a block's elements

  uint64_t bytes() const;
};

// The beginning of a file with these tensors in this order, up to the data. Names must differ.
std::string gguf_header(std::span<const GgufSpec> tensors);

// The file is at `path` when it is complete. Before that, there is no file.
class GgufWriter {
 public:
  // Throws Error(io) when `path` cannot be written. This holds for all functions below.
  GgufWriter(const std::filesystem::path& path, std::span<const GgufSpec> tensors);

  // The next bytes of the tensors, in pieces of any size that do not cross the end of a tensor.
  void append(std::span<const std::byte> bytes);
  // Throws Error(internal) unless exactly the declared bytes were appended.
  void commit();

 private:
  AtomicFile file_;
  std::vector<uint64_t> missing_;  // bytes of each tensor that are declared and not yet appended; the last one is first
  uint64_t written_ = 0;           // bytes of the tensor that is being written
};

}  // namespace tempera
