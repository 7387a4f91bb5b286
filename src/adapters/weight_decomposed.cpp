#include "adapters/weight_decomposed.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <utility>

#include "adapters/changed_elements.h"

namespace tempera {
namespace {

// Where the lengths are: one for each row, or one for each input channel.
struct Lengths {
  bool of_rows = true;
  MatrixShape shape;
  size_t taps = 1;

  size_t count() const { return of_rows ? shape.rows : shape.columns / taps; }
  size_t index(size_t row, size_t column) const { return of_rows ? row : column / taps; }
};

class ReadyDecomposed final : public ReadyFormula {
 public:
  ReadyDecomposed(std::shared_ptr<const ElementReader> below, const Lengths& lengths,
                  std::unique_ptr<const Delta::Ready> delta, float weight)
      : below_(std::move(below)), lengths_(lengths), delta_(std::move(delta)), weight_(weight) {}

  // The factors g / |y|.
  std::vector<float> factors(const std::vector<float>& g) const {
    std::vector<double> squares(lengths_.count());
    std::array<float, Tile::kElements> y;
    for_each_tile({0, lengths_.shape.rows, 0, lengths_.shape.columns}, [&](const Tile& tile) {
      read_tile(*below_, lengths_.shape.columns, tile, y.data(), tile.columns);
      delta_->add(tile, 1, y.data());
      for (size_t r = 0; r < tile.rows; ++r)
        for (size_t c = 0; c < tile.columns; ++c) {
          const double value = static_cast<double>(y[r * tile.columns + c]);
          squares[lengths_.index(tile.row + r, tile.column + c)] += value * value;
        }
    });
    std::vector<float> factors(g.size());
    for (size_t i = 0; i < g.size(); ++i)
      factors[i] = squares[i] == 0 ? 0 : static_cast<float>(static_cast<double>(g[i]) / std::sqrt(squares[i]));
    return factors;
  }
  void set(std::shared_ptr<const std::vector<float>> factors) { factors_ = std::move(factors); }

  void write(const Tile& tile, float* values) const override {
    read_tile(*below_, lengths_.shape.columns, tile, values, tile.columns);
    std::array<float, Tile::kElements> y;
    std::copy_n(values, tile.rows * tile.columns, y.begin());
    delta_->add(tile, 1, y.data());
    for (size_t r = 0; r < tile.rows; ++r)
      for (size_t c = 0; c < tile.columns; ++c) {
        const size_t i = r * tile.columns + c;
        const float factor = (*factors_)[lengths_.index(tile.row + r, tile.column + c)];
        values[i] = (1 - weight_) * values[i] + weight_ * factor * y[i];
      }
  }

 private:
  std::shared_ptr<const ElementReader> below_;
  Lengths lengths_;
  std::unique_ptr<const Delta::Ready> delta_;
  float weight_;
  std::shared_ptr<const std::vector<float>> factors_;
};

class WeightDecomposed final : public Change {
 public:
  WeightDecomposed(std::shared_ptr<const Delta> delta, Factor g, const Lengths& lengths)
      : delta_(std::move(delta)), g_(std::move(g)), lengths_(lengths) {}

  std::shared_ptr<const ElementReader> over(std::shared_ptr<const ElementReader> below, float weight) const override {
    if (weight == 0) return below;
    const auto prepare = [below, delta = delta_, g = g_, lengths = lengths_, weight,
                          factors = std::shared_ptr<const std::vector<float>>()]() mutable {
      auto ready = std::make_unique<ReadyDecomposed>(below, lengths, delta->ready(), weight);
      if (!factors) factors = std::make_shared<const std::vector<float>>(ready->factors(g.read()));
      ready->set(factors);
      return ready;
    };
    const auto done = [delta = delta_](size_t first, size_t n) { delta->done(first, n); };
    return std::make_shared<ChangedElements>(below, lengths_.shape, ChangedElements::Formula{prepare, done});
  }
  std::string_view kind() const override { return "DoRA"; }
  int64_t rank() const override { return delta_->rank(); }

 private:
  std::shared_ptr<const Delta> delta_;
  Factor g_;
  Lengths lengths_;
};

}  // namespace

std::shared_ptr<const Change> weight_decomposed_change(LayerParts& parts, std::shared_ptr<const Delta> delta) {
  const Factor g = parts.factor("dora_scale");
  const Lengths lengths{g.shape.rows == parts.shape().rows, parts.shape(), parts.taps()};
  parts.require(g.shape.elements() == lengths.count(), "dora_scale");
  return std::make_shared<WeightDecomposed>(std::move(delta), g, lengths);
}

}  // namespace tempera
