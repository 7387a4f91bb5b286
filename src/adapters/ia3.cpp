#include "adapters/ia3.h"

#include <utility>

#include "adapters/changed_elements.h"

namespace tempera {
namespace {

struct Layout {
  MatrixShape shape;
  size_t taps = 1;
  bool on_input = false;
};

class ReadyScaling final : public ReadyFormula {
 public:
  ReadyScaling(std::shared_ptr<const ElementReader> below, const Layout& layout, std::vector<float> factors)
      : below_(std::move(below)), layout_(layout), factors_(std::move(factors)) {}

  void write(const Tile& tile, float* values) const override {
    read_tile(*below_, layout_.shape.columns, tile, values, tile.columns);
    for (size_t r = 0; r < tile.rows; ++r)
      for (size_t c = 0; c < tile.columns; ++c)
        values[r * tile.columns + c] *= factors_[layout_.on_input ? (tile.column + c) / layout_.taps : tile.row + r];
  }

 private:
  std::shared_ptr<const ElementReader> below_;
  Layout layout_;
  std::vector<float> factors_;
};

class Ia3 final : public Change {
 public:
  Ia3(Factor v, const Layout& layout) : v_(std::move(v)), layout_(layout) {}

  std::shared_ptr<const ElementReader> over(std::shared_ptr<const ElementReader> below, float weight) const override {
    if (weight == 0) return below;
    const auto prepare = [below, v = v_, layout = layout_, weight] {
      std::vector<float> factors = v.read();
      for (float& factor : factors) factor = 1 + weight * factor;
      return std::make_unique<const ReadyScaling>(below, layout, std::move(factors));
    };
    return std::make_shared<ChangedElements>(below, layout_.shape, ChangedElements::Formula{prepare, {}});
  }
  std::string_view kind() const override { return "IA3"; }
  int64_t rank() const override { return 0; }

 private:
  Factor v_;
  Layout layout_;
};

}  // namespace

std::shared_ptr<const Change> ia3_change(LayerParts& parts) {
  const Layout layout{parts.shape(), parts.taps(), parts.flag("on_input")};
  const Factor v = parts.factor("weight");
  parts.require(v.shape.elements() == (layout.on_input ? parts.inputs() : parts.shape().rows), "weight");
  return std::make_shared<Ia3>(v, layout);
}

}  // namespace tempera
