#include "adapters/hadamard.h"

#include <algorithm>
#include <array>
#include <utility>

#include "adapters/low_rank.h"

namespace tempera {
namespace {

class HadamardDelta final : public Delta {
 public:
  HadamardDelta(LowRankFactors first, LowRankFactors second, float scale)
      : Delta("LoHa", first.rank()), first_(std::move(first)), second_(std::move(second)), scale_(scale) {}

  std::unique_ptr<const Ready> ready() const override {
    return std::make_unique<const ReadyHadamard>(first_.read(), second_.read(), scale_);
  }

 private:
  class ReadyHadamard final : public Ready {
   public:
    ReadyHadamard(LowRankMatrix first, LowRankMatrix second, float scale)
        : first_(std::move(first)), second_(std::move(second)), scale_(scale) {}

    void add(const Tile& tile, float factor, float* values) const override {
      const size_t n = tile.rows * tile.columns;
      std::array<float, Tile::kElements> first, second;
      std::fill_n(first.begin(), n, 0.0f);
      std::fill_n(second.begin(), n, 0.0f);
      first_.add(tile, 1, first.data(), tile.columns);
      second_.add(tile, 1, second.data(), tile.columns);
      for (size_t i = 0; i < n; ++i) values[i] += factor * scale_ * (first[i] * second[i]);
    }

   private:
    LowRankMatrix first_, second_;
    float scale_;
  };

  LowRankFactors first_, second_;
  float scale_;
};

LowRankFactors side(LayerParts& parts, std::string_view a, std::string_view b, std::string_view core) {
  const bool tucker = parts.has(core);
  return low_rank_factors(parts, a, b, tucker ? core : "", parts.shape(), parts.taps(), tucker);
}

}  // namespace

std::shared_ptr<const Delta> hadamard_delta(LayerParts& parts) {
  LowRankFactors first = side(parts, "hada_w1_a", "hada_w1_b", "hada_t1");
  LowRankFactors second = side(parts, "hada_w2_a", "hada_w2_b", "hada_t2");
  const float scale = parts.scale(first.down.shape.rows);
  return std::make_shared<HadamardDelta>(std::move(first), std::move(second), scale);
}

}  // namespace tempera
