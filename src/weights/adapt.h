// A checkpoint under other names. A table says for each name which tensor of the checkpoint below it comes from and
// how: as it is, with another shape, as a third of its rows, or transposed. Each is a reader over the reader below.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "weights/checkpoint.h"

namespace tempera {

enum class Transform : uint8_t {
  none,
  squeeze,  // (O, I, 1, 1) -> (O, I): a 1x1 convolution as the matrix that it is; other shapes stay
  third_0,  // rows [0, n/3) of n: q of a packed q, k, v
  third_1,
  third_2,
  transpose,  // (A, B) -> (B, A)
};

// The shape before the transform of what has `dims` after it: what a writer of the other naming scheme must store. For
// squeeze, that of the convolution; for a third, of the whole.
std::vector<int64_t> untransformed(Transform transform, std::vector<int64_t> dims);

struct Source {
  std::string name;  // in the checkpoint below
  Transform transform = Transform::none;
};

class AdaptedCheckpoint final : public Checkpoint {
 public:
  using Table = std::map<std::string, Source, std::less<>>;  // new name -> source

  // Sources that the checkpoint does not have are as good as not in the table.
  AdaptedCheckpoint(std::shared_ptr<const Checkpoint> below, Table table);

  std::vector<std::string> names() const override;
  std::optional<CheckpointTensor> find(std::string_view name) const override;
  uint64_t revision() const override { return below_->revision(); }
  std::string origin(std::string_view name) const override;

 private:
  std::shared_ptr<const Checkpoint> below_;
  Table table_;
};

}  // namespace tempera
