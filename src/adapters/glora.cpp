#include "adapters/glora.h"

#include <algorithm>
#include <utility>

#include "adapters/changed_elements.h"
#include "adapters/low_rank.h"

namespace tempera {
namespace {

struct Factors {
  Factor a_left, a_right;
  LowRankFactors b;
  MatrixShape shape;
  size_t taps = 1;
  float scale = 1;
};

Panels panels_of(const Factor& factor) {
  return {factor.read(), factor.shape.rows, factor.shape.columns};
}

// W . a1 as (out, kh kw, rank). A few rows at once, because a product reads all of a1.
std::vector<float> input_product(const ElementReader& below, const Factors& f) {
  constexpr size_t kRows = 8;
  const size_t inputs = f.a_left.shape.rows, rank = f.a_left.shape.columns, taps = f.taps, columns = f.shape.columns;
  const Panels right = panels_of(f.a_left);
  std::vector<float> product(f.shape.rows * taps * rank), rows(kRows * columns), sorted(kRows * columns);
  for (size_t first = 0; first < f.shape.rows; first += kRows) {
    const size_t n = std::min(kRows, f.shape.rows - first);
    read_tile(below, columns, {first, n, 0, columns}, rows.data(), columns);
    for (size_t r = 0; r < n; ++r)
      for (size_t t = 0; t < taps; ++t)
        for (size_t i = 0; i < inputs; ++i) sorted[(r * taps + t) * inputs + i] = rows[r * columns + i * taps + t];
    add_product(sorted.data(), inputs, n * taps, right, 0, rank, 1, product.data() + first * taps * rank, rank);
  }
  return product;
}

class ReadyGlora final : public ReadyFormula {
 public:
  ReadyGlora(std::shared_ptr<const ElementReader> below, const Factors& f, float factor)
      : below_(std::move(below)),
        columns_(f.shape.columns),
        taps_(f.taps),
        product_(input_product(*below_, f)),
        right_(panels_of(f.a_right)),
        b_(f.b.read()),
        factor_(factor) {}

  void write(const Tile& tile, float* values) const override {
    read_tile(*below_, columns_, tile, values, tile.columns);
    b_.add(tile, factor_, values, tile.columns);
    // The elements of the kernel one after the other, each for the input channels of the tile.
    const size_t first = tile.column / taps_, inputs = (tile.column + tile.columns - 1) / taps_ + 1 - first;
    const size_t rank = right_.rank();
    std::vector<float> change(tile.rows * taps_ * inputs);
    add_product(product_.data() + tile.row * taps_ * rank, rank, tile.rows * taps_, right_, first, inputs, factor_,
                change.data(), inputs);
    for (size_t r = 0; r < tile.rows; ++r)
      for (size_t c = 0; c < tile.columns; ++c) {
        const size_t column = tile.column + c;
        values[r * tile.columns + c] += change[(r * taps_ + column % taps_) * inputs + column / taps_ - first];
      }
  }

 private:
  std::shared_ptr<const ElementReader> below_;
  size_t columns_, taps_;
  std::vector<float> product_;
  Panels right_;
  LowRankMatrix b_;
  float factor_;
};

class Glora final : public Change {
 public:
  explicit Glora(Factors factors) : factors_(std::make_shared<const Factors>(std::move(factors))) {}

  std::shared_ptr<const ElementReader> over(std::shared_ptr<const ElementReader> below, float weight) const override {
    if (weight == 0) return below;
    const auto prepare = [below, factors = factors_, weight] {
      return std::make_unique<const ReadyGlora>(below, *factors, weight * factors->scale);
    };
    return std::make_shared<ChangedElements>(below, factors_->shape, ChangedElements::Formula{prepare, {}});
  }
  std::string_view kind() const override { return "GLoRA"; }
  int64_t rank() const override { return static_cast<int64_t>(factors_->a_right.shape.rows); }

 private:
  std::shared_ptr<const Factors> factors_;
};

}  // namespace

std::shared_ptr<const Change> glora_change(LayerParts& parts) {
  const size_t inputs = parts.inputs();
  const Factor a1 = parts.factor("a1"), a2 = parts.factor("a2"), b1 = parts.factor("b1"), b2 = parts.factor("b2");
  const bool current = a1.shape.rows == inputs && a2.shape.columns == inputs && b1.shape.rows == parts.shape().rows;
  const std::string_view left = current ? "a1" : "a2", right = current ? "a2" : "a1";
  Factors factors{current ? a1 : a2, current ? a2 : a1, {}, parts.shape(), parts.taps(), 1};
  parts.require(factors.a_left.shape.rows == inputs, left);
  parts.require(factors.a_right.shape.columns == inputs && factors.a_right.shape.rows == factors.a_left.shape.columns,
                right);
  factors.b = low_rank_factors(parts, current ? "b1" : "b2", current ? "b2" : "b1", "", parts.shape(), parts.taps());
  factors.scale = parts.scale(factors.a_right.shape.rows);
  return std::make_shared<Glora>(std::move(factors));
}

}  // namespace tempera
