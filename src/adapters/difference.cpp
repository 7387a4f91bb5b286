#include "adapters/difference.h"

#include <array>
#include <utility>

namespace tempera {
namespace {

class DifferenceDelta final : public Delta {
 public:
  DifferenceDelta(std::shared_ptr<const ElementReader> values, size_t columns, float scale)
      : Delta("full", 0), values_(std::move(values)), columns_(columns), scale_(scale) {}

  std::unique_ptr<const Ready> ready() const override {
    return std::make_unique<const ReadyDifference>(values_, columns_, scale_);
  }
  void done(size_t first, size_t n) const noexcept override { values_->done(first, n); }

 private:
  class ReadyDifference final : public Ready {
   public:
    ReadyDifference(std::shared_ptr<const ElementReader> values, size_t columns, float scale)
        : values_(std::move(values)), columns_(columns), scale_(scale) {}

    void add(const Tile& tile, float factor, float* values) const override {
      std::array<float, Tile::kElements> difference;
      read_tile(*values_, columns_, tile, difference.data(), tile.columns);
      for (size_t i = 0; i < tile.rows * tile.columns; ++i) values[i] += factor * scale_ * difference[i];
    }

   private:
    std::shared_ptr<const ElementReader> values_;
    size_t columns_;
    float scale_;
  };

  std::shared_ptr<const ElementReader> values_;
  size_t columns_;
  float scale_;
};

}  // namespace

std::shared_ptr<const Delta> difference_delta(LayerParts& parts) {
  const Factor difference = parts.factor("diff");
  parts.require(difference.shape.elements() == parts.shape().elements(), "diff");
  return std::make_shared<DifferenceDelta>(difference.reader, parts.shape().columns,
                                           parts.number("scale").value_or(1.0f));
}

}  // namespace tempera
