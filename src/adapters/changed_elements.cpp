#include "adapters/changed_elements.h"

#include <algorithm>
#include <array>
#include <utility>

#include "base/half.h"

namespace tempera {
namespace {

// An area within the rows of the matrix.
void read_area(const ReadyFormula& formula, const Tile& area, DType to, std::byte* destination, size_t pitch) {
  std::array<float, Tile::kElements> values;
  for_each_tile(area, [&](const Tile& tile) {
    formula.write(tile, values.data());
    std::byte* corner = destination + (tile.row - area.row) * pitch + (tile.column - area.column) * size_of(to);
    for (size_t r = 0; r < tile.rows; ++r)
      convert(values.data() + r * tile.columns, DType::f32, corner + r * pitch, to, tile.columns);
  });
}

}  // namespace

ChangedElements::ChangedElements(std::shared_ptr<const ElementReader> below, MatrixShape shape, Formula formula)
    : below_(std::move(below)), shape_(shape), formula_(std::move(formula)) {}

std::shared_ptr<const ReadyFormula> ChangedElements::ready() const {
  const std::lock_guard lock(mutex_);
  if (!ready_) ready_ = formula_.prepare();
  return ready_;
}

void ChangedElements::read_block(const ElementBlock& block, DType to, std::byte* destination, size_t pitch) const {
  if (block.rows == 0 || block.columns == 0) return;
  const std::shared_ptr<const ReadyFormula> formula = ready();
  const size_t row = block.first / shape_.columns, column = block.first % shape_.columns;
  if (block.stride == shape_.columns && column + block.columns <= shape_.columns)
    return read_area(*formula, {row, block.rows, column, block.columns}, to, destination, pitch);
  for (size_t r = 0; r < block.rows; ++r)
    read_run(*formula, block.first + r * block.stride, block.columns, to, destination + r * pitch);
}

// Elements that may begin and end within rows: the rest of a row, whole rows, the beginning of a row.
void ChangedElements::read_run(const ReadyFormula& formula, size_t first, size_t n, DType to,
                               std::byte* destination) const {
  const size_t columns = shape_.columns, row_bytes = columns * size_of(to);
  while (n > 0) {
    const size_t column = first % columns, whole = column == 0 ? n / columns : 0;
    const Tile area{first / columns, std::max<size_t>(whole, 1), column,
                    whole > 0 ? columns : std::min(n, columns - column)};
    read_area(formula, area, to, destination, row_bytes);
    const size_t count = area.rows * area.columns;
    first += count;
    n -= count;
    destination += count * size_of(to);
  }
}

void ChangedElements::done(size_t first, size_t n) const noexcept {
  below_->done(first, n);
  if (formula_.done) formula_.done(first, n);
  if (n == 0 || first + n != shape_.elements()) return;
  const std::lock_guard lock(mutex_);
  ready_.reset();
}

}  // namespace tempera
