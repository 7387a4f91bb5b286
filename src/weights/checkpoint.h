// Tensors by name: the one interface that every weight format and naming scheme offers to the rest of the program.
// Nothing is copied: elements are read piece by piece, from a mapped file or from what computes them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/dtype.h"
#include "base/element_reader.h"

namespace tempera {

struct CheckpointTensor {
  DType dtype = DType::f32;   // as stored
  std::vector<int64_t> dims;  // outermost first; files may hold more dimensions than Shape does
  // Of all elements, in row-major order. Keeps what it reads from alive, so it may outlive the checkpoint.
  std::shared_ptr<const ElementReader> reader;
  // Which values the tensor has: part of the identity of what was packed from it. 0 for files, which never change. A
  // source whose values change, such as weights with adapters, gives equal values equal revisions, tensor by tensor,
  // and other values another one.
  uint64_t revision = 0;

  int64_t elements() const;
  uint64_t stored_bytes() const { return static_cast<uint64_t>(elements()) * size_of(dtype); }
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

  // Nothing when there is no such tensor. Throws Error(bad_file) when there is one that cannot be read (its element
  // type is none of ours, or it has not the shape that its naming scheme promises).
  virtual std::optional<CheckpointTensor> find(std::string_view name) const = 0;

  // Changes whenever the values of any tensor do; always 0 for files.
  virtual uint64_t revision() const { return 0; }

  // Where a tensor is stored, for messages: "'conv_in.weight' in '/models/x.safetensors'". For a name that is missing:
  // where it was looked for.
  virtual std::string origin(std::string_view name) const = 0;

  // find(), but throws Error(bad_file) naming the tensor and the file when it is missing.
  CheckpointTensor get(std::string_view name) const;
};

// `text` in quotes, without control characters and cut to a bearable length: for names that come from files.
std::string in_quotes(std::string_view text);

}  // namespace tempera
