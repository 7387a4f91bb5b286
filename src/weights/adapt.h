// A checkpoint under other names. For each name, a table has the source tensor and its transform: none, another shape,
// a third of its rows, or a transpose. Each is a reader over the reader of the source.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "weights/checkpoint.h"

namespace tempera {

enum class Transform : uint8_t {
  none,
  squeeze,  // (O, I, 1, 1) -> (O, I): a 1x1 convolution as a matrix; other shapes stay
  third_0,  // rows [0, n/3) of n: q of a packed q, k, v
  third_1,
  third_2,
  transpose,  // (A, B) -> (B, A)
};

// The shape before the transform, if `dims` is the shape after it. A writer of the other naming scheme must store this
// shape. For squeeze it is that of the convolution, for a third that of the whole.
std::vector<int64_t> untransformed(Transform transform, std::vector<int64_t> dims);

struct Source {
  std::string name;  // in the source checkpoint
  Transform transform = Transform::none;
};

class AdaptedCheckpoint final : public Checkpoint {
 public:
  using Table = std::map<std::string, Source, std::less<>>;  // new name -> source

  // All sources must be tensors of the checkpoint.
  AdaptedCheckpoint(std::shared_ptr<const Checkpoint> below, Table table)
      : below_(std::move(below)), table_(std::move(table)) {}

  std::vector<std::string> names() const override;
  std::optional<CheckpointTensor> find(std::string_view name) const override;
  uint64_t revision() const override { return below_->revision(); }
  const std::map<std::string, std::string>& metadata() const override { return below_->metadata(); }
  std::string origin(std::string_view name) const override;

 private:
  std::shared_ptr<const Checkpoint> below_;
  Table table_;
};

}  // namespace tempera
