// The GGUF format, versions 2 and 3: counts, metadata (keys with typed values), descriptions of tensors, then the
// bytes. The reader checks every number against the length of the file before it uses it. Format: docs/gguf.md of
// ggml-org/ggml.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/mapped_file.h"
#include "weights/checkpoint.h"

namespace tempera {

struct GgufTensor {
  DType dtype = DType::f32;           // f32 for blocks
  const BlockType* blocks = nullptr;  // of a quantised type
  // Outermost first; the file has them innermost first. Where the metadata has comfy.gguf.orig_shape.NAME, these
  // dimensions: ComfyUI-GGUF stores such tensors as rows of 256.
  std::vector<int64_t> dims;
  size_t begin = 0, end = 0;  // bytes of the file
};

struct GgufHeader {
  std::map<std::string, GgufTensor, std::less<>> tensors;
  std::string architecture;  // general.architecture; empty: the file does not say
};

// Whether the file begins as a GGUF file does.
bool is_gguf(std::span<const std::byte> file);

// Reads and checks the header of the file whose whole contents are `file`. Throws Error(bad_file, "'<what>' ..."):
// other versions, and tensors of types that this program does not read, too.
GgufHeader parse_gguf(std::span<const std::byte> file, std::string_view what);

// The format's number of a type that is not stored in blocks. Throws Error(internal) for a type without a number.
uint32_t gguf_number(DType type);

// One mapped file.
class GgufFile final : public Checkpoint {
 public:
  // Throws Error(bad_file) as parse_gguf.
  explicit GgufFile(std::shared_ptr<const MappedFile> file);

  const std::string& architecture() const { return header_.architecture; }

  std::vector<std::string> names() const override;
  std::optional<CheckpointTensor> find(std::string_view name) const override;
  std::string origin(std::string_view name) const override;

 private:
  std::shared_ptr<const MappedFile> file_;  // its readers own it too
  GgufHeader header_;
};

}  // namespace tempera
