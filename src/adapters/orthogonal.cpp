#include "adapters/orthogonal.h"

#include <algorithm>
#include <cmath>
#include <optional>
#include <utility>

#include "adapters/changed_elements.h"
#include "adapters/product.h"

namespace tempera {
namespace {

struct Rotation {
  Factor blocks;  // (blocks, size size)
  size_t size = 0;
  bool skew = true;  // the blocks are B, not R
  float limit = 0;   // of the norm of all Q; 0: none
  std::optional<Factor> rescale;
  MatrixShape shape;
};

// R^T = (I - Q) (I + Q)^-1 in place, from Q. Elimination needs no pivots, because the symmetric part of I + Q is I.
void cayley_transposed(std::vector<double>& q, size_t n) {
  std::vector<double> a(q), x(n * n);  // (I + Q) x = I - Q; the two matrices commute
  for (size_t i = 0; i < n * n; ++i) x[i] = -q[i];
  for (size_t i = 0; i < n; ++i) {
    a[i * n + i] += 1;
    x[i * n + i] += 1;
  }
  for (size_t k = 0; k < n; ++k) {
    const double inverse = 1 / a[k * n + k];
    for (size_t j = 0; j < n; ++j) x[k * n + j] *= inverse;
    for (size_t j = k; j < n; ++j) a[k * n + j] *= inverse;
    for (size_t i = 0; i < n; ++i) {
      const double factor = a[i * n + k];
      if (i == k || factor == 0) continue;
      for (size_t j = 0; j < n; ++j) x[i * n + j] -= factor * x[k * n + j];
      for (size_t j = k; j < n; ++j) a[i * n + j] -= factor * a[k * n + j];
    }
  }
  q = std::move(x);
}

// All R^T, one below the other: (out, size).
std::vector<float> transposed_rotations(const Rotation& rotation) {
  const size_t n = rotation.size, count = rotation.blocks.shape.rows;
  const std::vector<float> blocks = rotation.blocks.read();
  std::vector<float> result(blocks.size());
  const auto difference = [&](size_t b, size_t i, size_t j) {
    return static_cast<double>(blocks[(b * n + i) * n + j]) - static_cast<double>(blocks[(b * n + j) * n + i]);
  };
  double factor = 1;
  if (rotation.skew && rotation.limit > 0) {
    double squares = 0;
    for (size_t b = 0; b < count; ++b)
      for (size_t i = 0; i < n; ++i)
        for (size_t j = 0; j < n; ++j) squares += difference(b, i, j) * difference(b, i, j);
    factor = std::min(1.0, static_cast<double>(rotation.limit) / std::max(std::sqrt(squares), 1e-30));
  }
  std::vector<double> block(n * n);
  for (size_t b = 0; b < count; ++b) {
    for (size_t i = 0; i < n; ++i)
      for (size_t j = 0; j < n; ++j)
        block[i * n + j] =
            rotation.skew ? factor * difference(b, i, j) : static_cast<double>(blocks[(b * n + j) * n + i]);
    if (rotation.skew) cayley_transposed(block, n);
    for (size_t i = 0; i < n * n; ++i) result[b * n * n + i] = static_cast<float>(block[i]);
  }
  return result;
}

class ReadyRotation final : public ReadyFormula {
 public:
  ReadyRotation(std::shared_ptr<const ElementReader> below, const Rotation& rotation, float weight)
      : below_(std::move(below)),
        columns_(rotation.shape.columns),
        size_(rotation.size),
        transposed_(transposed_rotations(rotation)),
        weight_(weight) {
    if (rotation.rescale) rescale_ = rotation.rescale->read();
  }

  // Block by block of rows, and panel by panel: a panel has 32 columns of all rows of a block.
  void write(const Tile& tile, float* values) const override {
    for (size_t r = 0; r < tile.rows;) {
      const size_t row = tile.row + r, block = row / size_, rows = std::min(tile.rows - r, (block + 1) * size_ - row);
      for (size_t c = 0; c < tile.columns; c += Panels::kWidth) {
        const Tile part{row, rows, tile.column + c, std::min(Panels::kWidth, tile.columns - c)};
        write_part(block, part, values + r * tile.columns + c, tile.columns);
      }
      r += rows;
    }
  }

 private:
  void write_part(size_t block, const Tile& part, float* values, size_t pitch) const {
    Panels panel(size_, part.columns);
    read_tile(*below_, columns_, {block * size_, size_, part.column, part.columns}, &panel.at(0, 0), Panels::kWidth);
    std::vector<float> rotated(part.rows * part.columns);
    add_product(transposed_.data() + part.row * size_, size_, part.rows, panel, 0, part.columns, 1, rotated.data(),
                part.columns);
    for (size_t r = 0; r < part.rows; ++r) {
      const size_t row = part.row + r;
      const float factor = weight_ * (rescale_.empty() ? 1 : rescale_[row]);
      for (size_t c = 0; c < part.columns; ++c)
        values[r * pitch + c] =
            (1 - weight_) * panel.at(row - block * size_, c) + factor * rotated[r * part.columns + c];
    }
  }

  std::shared_ptr<const ElementReader> below_;
  size_t columns_, size_;
  std::vector<float> transposed_, rescale_;
  float weight_;
};

class Orthogonal final : public Change {
 public:
  explicit Orthogonal(Rotation rotation) : rotation_(std::make_shared<const Rotation>(std::move(rotation))) {}

  std::shared_ptr<const ElementReader> over(std::shared_ptr<const ElementReader> below, float weight) const override {
    if (weight == 0) return below;
    const auto prepare = [below, rotation = rotation_, weight] {
      return std::make_unique<const ReadyRotation>(below, *rotation, weight);
    };
    return std::make_shared<ChangedElements>(below, rotation_->shape, ChangedElements::Formula{prepare, {}});
  }
  std::string_view kind() const override { return "OFT"; }
  int64_t rank() const override { return 0; }

 private:
  std::shared_ptr<const Rotation> rotation_;
};

}  // namespace

std::shared_ptr<const Change> orthogonal_change(LayerParts& parts) {
  const bool skew = parts.has("oft_blocks");
  const std::string_view name = skew ? "oft_blocks" : "oft_diag";
  Rotation rotation{parts.factor(name), 0, skew, 0, {}, parts.shape()};
  const std::vector<int64_t>& dims = parts.dims(name);
  parts.require(dims.size() == 3 && dims[1] == dims[2], name);
  rotation.size = static_cast<size_t>(dims[1]);
  parts.require(rotation.blocks.shape.rows * rotation.size == parts.shape().rows, name);
  rotation.limit = parts.number("alpha").value_or(0.0f) * static_cast<float>(parts.shape().rows);
  if (parts.has("rescale")) {
    rotation.rescale = parts.factor("rescale");
    parts.require(rotation.rescale->shape.rows == parts.shape().rows && rotation.rescale->shape.columns == 1,
                  "rescale");
  }
  return std::make_shared<Orthogonal>(std::move(rotation));
}

}  // namespace tempera
