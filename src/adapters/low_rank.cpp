#include "adapters/low_rank.h"

#include <algorithm>
#include <utility>

namespace tempera {
namespace {

Panels panels_of(const Factor& factor) {
  return {factor.read(), factor.shape.rows, factor.shape.columns};
}

// core . down: (rank of up, in kh kw). One product for each element of the kernel.
Panels core_product(const Factor& core, const Factor& down) {
  const size_t rank = core.shape.rows, inner = down.shape.rows, inputs = down.shape.columns;
  const size_t taps = core.shape.columns / inner;
  const std::vector<float> values = core.read();
  const Panels right = panels_of(down);
  Panels product(rank, inputs * taps);
  std::vector<float> left(inner), row(inputs);
  for (size_t i = 0; i < rank; ++i)
    for (size_t t = 0; t < taps; ++t) {
      for (size_t j = 0; j < inner; ++j) left[j] = values[(i * inner + j) * taps + t];
      std::fill(row.begin(), row.end(), 0.0f);
      add_product(left.data(), inner, 1, right, 0, inputs, 1, row.data(), inputs);
      for (size_t c = 0; c < inputs; ++c) product.at(i, c * taps + t) = row[c];
    }
  return product;
}

class LowRankDelta final : public Delta {
 public:
  LowRankDelta(std::string_view kind, LowRankFactors factors, float scale)
      : Delta(kind, factors.rank()), factors_(std::move(factors)), scale_(scale) {}

  std::unique_ptr<const Ready> ready() const override {
    return std::make_unique<const ReadyLowRank>(factors_.read(), scale_);
  }

 private:
  class ReadyLowRank final : public Ready {
   public:
    ReadyLowRank(LowRankMatrix matrix, float scale) : matrix_(std::move(matrix)), scale_(scale) {}

    void add(const Tile& tile, float factor, float* values) const override {
      matrix_.add(tile, factor * scale_, values, tile.columns);
    }

   private:
    LowRankMatrix matrix_;
    float scale_;
  };

  LowRankFactors factors_;
  float scale_;
};

}  // namespace

void LowRankMatrix::add(const Tile& tile, float factor, float* values, size_t pitch) const {
  const size_t rank = down_.rank();
  add_product(up_.data() + tile.row * rank, rank, tile.rows, down_, tile.column, tile.columns, factor, values, pitch);
}

LowRankMatrix LowRankFactors::read() const {
  return {up_is_transposed ? up.read_transposed() : up.read(), core ? core_product(*core, down) : panels_of(down)};
}

LowRankFactors low_rank_factors(LayerParts& parts, std::string_view up, std::string_view down, std::string_view core,
                                MatrixShape product, size_t taps, bool up_is_transposed) {
  LowRankFactors factors{parts.factor(up), parts.factor(down), {}, up_is_transposed};
  const MatrixShape& right = factors.down.shape;
  parts.require(factors.rows() == product.rows, up);
  if (core.empty()) {
    parts.require(right.rows == factors.rank() && right.columns == product.columns, down);
  } else {
    factors.core = parts.factor(core);
    const MatrixShape& middle = factors.core->shape;
    parts.require(right.columns * taps == product.columns, down);
    parts.require(middle.rows == factors.rank() && middle.columns == right.rows * taps, core);
  }
  return factors;
}

std::shared_ptr<const Delta> low_rank_delta(LayerParts& parts) {
  const bool tucker = parts.has("lora_mid");
  LowRankFactors factors =
      low_rank_factors(parts, "lora_up", "lora_down", tucker ? "lora_mid" : "", parts.shape(), parts.taps());
  const float scale = parts.scale(factors.down.shape.rows);
  return std::make_shared<LowRankDelta>(parts.is_convolution() ? "LoCon" : "LoRA", std::move(factors), scale);
}

}  // namespace tempera
