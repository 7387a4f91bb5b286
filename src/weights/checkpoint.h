// Bytes by name: the one face that every weight format and naming scheme shows to the rest of the program. Nothing is
// copied: a view points into a mapped file, whose pages are read when they are touched.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/dtype.h"

namespace tempera {

struct TensorView {
  DType dtype = DType::f32;
  std::vector<int64_t> dims;         // outermost first; files may hold more dimensions than Shape does
  std::span<const std::byte> bytes;  // dense, row-major, little-endian; may lie at any address, aligned or not

  int64_t elements() const;
};

// "2x3x4"; "scalar" for no dimensions.
std::string dims_to_string(std::span<const int64_t> dims);

// All methods may be called from several threads at once. Views stay valid as long as the checkpoint lives.
class Checkpoint {
 public:
  virtual ~Checkpoint() = default;
  Checkpoint() = default;
  Checkpoint(const Checkpoint&) = delete;
  Checkpoint& operator=(const Checkpoint&) = delete;

  // All tensors, sorted by name.
  virtual std::vector<std::string> names() const = 0;

  // Nothing when there is no such tensor. Throws Error(bad_file) when there is one that cannot be handed out (its
  // element type is none of ours, or it has not the shape that its naming scheme promises).
  virtual std::optional<TensorView> find(std::string_view name) const = 0;

  // Changes whenever values do: of any tensor, and of the tensor of that name. Always 0 for a file.
  virtual uint64_t revision() const { return 0; }
  virtual uint64_t revision(std::string_view /*name*/) const { return 0; }

  // Gives back the memory behind a view's bytes, after a copy of them was made; reading them again brings them back.
  virtual void release(std::span<const std::byte> bytes) const noexcept = 0;

  // Where a tensor is stored, for messages: "'conv_in.weight' in '/models/x.safetensors'". For a name that is missing:
  // where it was looked for.
  virtual std::string origin(std::string_view name) const = 0;

  // find(), but throws Error(bad_file) naming the tensor and the file when it is missing.
  TensorView get(std::string_view name) const;
};

// `text` in quotes, without control characters and cut to a bearable length: for names that come from files.
std::string in_quotes(std::string_view text);

}  // namespace tempera
