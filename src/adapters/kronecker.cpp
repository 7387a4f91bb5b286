#include "adapters/kronecker.h"

#include <algorithm>
#include <array>
#include <optional>
#include <utility>
#include <variant>

#include "adapters/low_rank.h"

namespace tempera {
namespace {

// One side in its file.
using Side = std::variant<Factor, LowRankFactors>;

// w1 in memory.
std::vector<float> whole(const Side& side, MatrixShape shape) {
  if (const Factor* factor = std::get_if<Factor>(&side)) return factor->read();
  std::vector<float> values(shape.elements());
  std::get<LowRankFactors>(side).read().add({0, shape.rows, 0, shape.columns}, 1, values.data(), shape.columns);
  return values;
}

class KroneckerDelta final : public Delta {
 public:
  KroneckerDelta(Side w1, MatrixShape shape1, Side w2, MatrixShape shape2, size_t rank, float scale)
      : Delta("LoKr", rank), w1_(std::move(w1)), w2_(std::move(w2)), shape1_(shape1), shape2_(shape2), scale_(scale) {}

  std::unique_ptr<const Ready> ready() const override { return std::make_unique<const ReadyKronecker>(*this); }

  // Each element of a whole w2 is read for many elements of the parameter.
  void done(size_t first, size_t n) const noexcept override {
    const Factor* factor = std::get_if<Factor>(&w2_);
    if (factor != nullptr && first + n == shape1_.elements() * shape2_.elements())
      factor->reader->done(0, shape2_.elements());
  }

 private:
  class ReadyKronecker final : public Ready {
   public:
    explicit ReadyKronecker(const KroneckerDelta& delta)
        : w1_(whole(delta.w1_, delta.shape1_)),
          columns1_(delta.shape1_.columns),
          shape2_(delta.shape2_),
          scale_(delta.scale_) {
      if (const auto* factors = std::get_if<LowRankFactors>(&delta.w2_)) {
        product_ = factors->read();
      } else {
        stored_ = std::get<Factor>(delta.w2_).reader;
      }
    }

    // Cell by cell: in a cell, the element of w1 is the same.
    void add(const Tile& tile, float factor, float* values) const override {
      for (size_t r = 0; r < tile.rows;) {
        const size_t row = tile.row + r, rows = std::min(shape2_.rows - row % shape2_.rows, tile.rows - r);
        for (size_t c = 0; c < tile.columns;) {
          const size_t column = tile.column + c;
          const Tile cell{row % shape2_.rows, rows, column % shape2_.columns,
                          std::min(shape2_.columns - column % shape2_.columns, tile.columns - c)};
          const float w1 = w1_[row / shape2_.rows * columns1_ + column / shape2_.columns];
          add_cell(cell, factor * scale_ * w1, values + r * tile.columns + c, tile.columns);
          c += cell.columns;
        }
        r += rows;
      }
    }

   private:
    void add_cell(const Tile& cell, float factor, float* values, size_t pitch) const {
      if (product_) return product_->add(cell, factor, values, pitch);
      std::array<float, Tile::kElements> w2;
      read_tile(*stored_, shape2_.columns, cell, w2.data(), cell.columns);
      for (size_t r = 0; r < cell.rows; ++r)
        for (size_t c = 0; c < cell.columns; ++c) values[r * pitch + c] += factor * w2[r * cell.columns + c];
    }

    std::vector<float> w1_;
    size_t columns1_;
    MatrixShape shape2_;
    float scale_;
    std::optional<LowRankMatrix> product_;  // w2, or:
    std::shared_ptr<const ElementReader> stored_;
  };

  Side w1_, w2_;
  MatrixShape shape1_, shape2_;
  float scale_;
};

}  // namespace

std::shared_ptr<const Delta> kronecker_delta(LayerParts& parts) {
  const bool whole1 = parts.has("lokr_w1"), whole2 = parts.has("lokr_w2"), tucker = !whole2 && parts.has("lokr_t2");
  const std::string_view right1 = whole1 ? "lokr_w1" : "lokr_w1_b", right2 = whole2 ? "lokr_w2" : "lokr_w2_b";

  // The shape of w1 gives that of w2.
  const MatrixShape left1 = parts.factor(whole1 ? "lokr_w1" : "lokr_w1_a").shape;
  const MatrixShape shape1{left1.rows, parts.factor(right1).shape.columns};
  parts.require(parts.shape().rows % shape1.rows == 0, whole1 ? "lokr_w1" : "lokr_w1_a");
  parts.require(parts.inputs() % shape1.columns == 0, right1);
  const MatrixShape shape2{parts.shape().rows / shape1.rows, parts.shape().columns / shape1.columns};

  size_t rank = 0;
  Side w2 = parts.factor(right2), w1 = parts.factor(right1);
  if (whole2) {
    const MatrixShape& stored = std::get<Factor>(w2).shape;
    parts.require(stored.rows == shape2.rows && stored.columns == shape2.columns, right2);
  } else {
    rank = std::get<Factor>(w2).shape.rows;
    w2 = low_rank_factors(parts, "lokr_w2_a", "lokr_w2_b", tucker ? "lokr_t2" : "", shape2, parts.taps(), tucker);
  }
  if (!whole1) {
    rank = std::get<Factor>(w1).shape.rows;
    w1 = low_rank_factors(parts, "lokr_w1_a", "lokr_w1_b", "", shape1, 1);
  }
  const float scale = rank > 0 ? parts.scale(rank) : parts.number("scale").value_or(1.0f);
  return std::make_shared<KroneckerDelta>(std::move(w1), shape1, std::move(w2), shape2, rank, scale);
}

}  // namespace tempera
