// Tensors by name: the interface of every weight format and naming scheme. Nothing is copied. Elements are read piece
// by piece, from a mapped file or from a source that computes them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/dtype.h"
#include "base/element_reader.h"

namespace tempera {

// A stored type whose elements share bytes: blocks of neighbours in row-major order, such as those of GGUF.
struct BlockType {
  std::string_view name;                                            // "Q4_K"
  size_t elements = 0;                                              // of one block
  size_t bytes = 0;                                                 // of one block
  void (*decode)(const std::byte* block, float* values) = nullptr;  // one block
};

struct CheckpointTensor {
  DType dtype = DType::f32;   // as stored; f32 for blocks
  std::vector<int64_t> dims;  // outermost first; files may have more dimensions than Shape
  // For all elements, in row-major order. It keeps its source alive, so it may outlive the checkpoint.
  std::shared_ptr<const ElementReader> reader;
  // Identifies the values of the tensor, as part of the identity of packed parameters. 0 for files, which never change.
  // In a source whose values change, such as weights with adapters, a tensor has equal revisions for equal values and
  // different ones for different values.
  uint64_t revision = 0;
  const BlockType* blocks = nullptr;  // of a tensor that is stored in blocks
  bool scaled = false;                // the values are the stored numbers times a factor, so they are none of `dtype`

  int64_t elements() const;
  uint64_t stored_bytes() const;
  // The stored type, for people: "bf16", "Q4_K".
  std::string_view stored_type() const { return blocks == nullptr ? name(dtype) : blocks->name; }
  // All elements as f32: for small tensors.
  std::vector<float> floats() const;
};

// "2x3x4"; "scalar" for no dimensions.
std::string dims_to_string(std::span<const int64_t> dims);

// All methods may be called from several threads at once.
class Checkpoint {
 public:
  virtual ~Checkpoint() = default;
  Checkpoint() = default;
  Checkpoint(const Checkpoint&) = delete;
  Checkpoint& operator=(const Checkpoint&) = delete;

  // All tensors, sorted by name.
  virtual std::vector<std::string> names() const = 0;

  // Nothing when there is no such tensor. Throws Error(bad_file) when it cannot be read (its element type is not
  // supported, or its shape is not that of its naming scheme).
  virtual std::optional<CheckpointTensor> find(std::string_view name) const = 0;

  // Texts about the whole source, by key: the __metadata__ of a safetensors file. Empty for sources without.
  virtual const std::map<std::string, std::string>& metadata() const;

  // Changes when the values of any tensor change; always 0 for files.
  virtual uint64_t revision() const { return 0; }

  // The place of a tensor, for messages: "'conv_in.weight' in '/models/x.safetensors'". For a missing name: the place
  // where it should be.
  virtual std::string origin(std::string_view name) const = 0;

  // find(), but throws Error(bad_file) with the tensor and the file when it is missing.
  CheckpointTensor get(std::string_view name) const;
};

// `text` in quotes, without control characters and cut if it is long: for names from files.
std::string in_quotes(std::string_view text);

}  // namespace tempera
