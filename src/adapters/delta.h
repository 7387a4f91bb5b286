// The formulas that add a matrix to a parameter: W + weight * delta.
#pragma once

#include <memory>
#include <string_view>

#include "adapters/change.h"
#include "adapters/layer_parts.h"

namespace tempera {

class Delta {
 public:
  // With the factors as float32.
  class Ready {
   public:
    virtual ~Ready() = default;
    Ready() = default;
    Ready(const Ready&) = delete;
    Ready& operator=(const Ready&) = delete;

    // values(r, c) += factor * delta(tile.row + r, tile.column + c), dense
    virtual void add(const Tile& tile, float factor, float* values) const = 0;
  };

  // `kind` and `rank`: those of Change.
  Delta(std::string_view kind, size_t rank) : kind_(kind), rank_(static_cast<int64_t>(rank)) {}
  virtual ~Delta() = default;
  Delta(const Delta&) = delete;
  Delta& operator=(const Delta&) = delete;

  virtual std::unique_ptr<const Ready> ready() const = 0;
  // The elements [first, first + n) of the parameter are not read again soon.
  virtual void done(size_t /*first*/, size_t /*n*/) const noexcept {}

  std::string_view kind() const { return kind_; }
  int64_t rank() const { return rank_; }

 private:
  std::string_view kind_;
  int64_t rank_;
};

// The change that adds a delta.
std::shared_ptr<const Change> additive_change(std::shared_ptr<const Delta> delta, MatrixShape shape);

}  // namespace tempera
