#include <utility>

#include "adapters/changed_elements.h"
#include "adapters/delta.h"

namespace tempera {
namespace {

class ReadyAddition final : public ReadyFormula {
 public:
  ReadyAddition(std::shared_ptr<const ElementReader> below, size_t columns, std::unique_ptr<const Delta::Ready> delta,
                float weight)
      : below_(std::move(below)), columns_(columns), delta_(std::move(delta)), weight_(weight) {}

  void write(const Tile& tile, float* values) const override {
    read_tile(*below_, columns_, tile, values, tile.columns);
    delta_->add(tile, weight_, values);
  }

 private:
  std::shared_ptr<const ElementReader> below_;
  size_t columns_;
  std::unique_ptr<const Delta::Ready> delta_;
  float weight_;
};

class Addition final : public Change {
 public:
  Addition(std::shared_ptr<const Delta> delta, MatrixShape shape) : delta_(std::move(delta)), shape_(shape) {}

  std::shared_ptr<const ElementReader> over(std::shared_ptr<const ElementReader> below, float weight) const override {
    if (weight == 0) return below;
    const auto prepare = [below, delta = delta_, columns = shape_.columns, weight] {
      return std::make_unique<const ReadyAddition>(below, columns, delta->ready(), weight);
    };
    const auto done = [delta = delta_](size_t first, size_t n) { delta->done(first, n); };
    return std::make_shared<ChangedElements>(below, shape_, ChangedElements::Formula{prepare, done});
  }
  std::string_view kind() const override { return delta_->kind(); }
  int64_t rank() const override { return delta_->rank(); }

 private:
  std::shared_ptr<const Delta> delta_;
  MatrixShape shape_;
};

}  // namespace

std::shared_ptr<const Change> additive_change(std::shared_ptr<const Delta> delta, MatrixShape shape) {
  return std::make_shared<Addition>(std::move(delta), shape);
}

}  // namespace tempera
