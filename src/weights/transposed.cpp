#include "weights/transposed.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>
#include <utility>

namespace tempera {
namespace {

constexpr size_t kSide = 64;  // of a tile, in elements: 8 KiB in 16 bits, within a first-level cache

// from: (columns, rows), dense.
template <class T>
void transpose(const std::byte* from, size_t rows, size_t columns, std::byte* to, size_t pitch) {
  for (size_t r = 0; r < rows; ++r)
    for (size_t c = 0; c < columns; ++c)
      std::memcpy(to + r * pitch + c * sizeof(T), from + (c * rows + r) * sizeof(T), sizeof(T));
}

void transpose(size_t size, const std::byte* from, size_t rows, size_t columns, std::byte* to, size_t pitch) {
  switch (size) {
    case 1:
      return transpose<uint8_t>(from, rows, columns, to, pitch);
    case 2:
      return transpose<uint16_t>(from, rows, columns, to, pitch);
    case 4:
      return transpose<uint32_t>(from, rows, columns, to, pitch);
    default:
      return transpose<uint64_t>(from, rows, columns, to, pitch);
  }
}

}  // namespace

TransposedElements::TransposedElements(std::shared_ptr<const ElementReader> below, size_t rows, size_t columns)
    : below_(std::move(below)), rows_(rows), columns_(columns) {}

void TransposedElements::read_block(const ElementBlock& block, DType to, std::byte* destination, size_t pitch) const {
  if (block.rows == 0 || block.columns == 0) return;
  const size_t column = block.first % rows_;
  if (block.stride == rows_ && column + block.columns <= rows_)
    return read_part({block.first / rows_, block.rows, column, block.columns}, to, destination, pitch);
  for (size_t r = 0; r < block.rows; ++r)
    read_run(block.first + r * block.stride, block.columns, to, destination + r * pitch);
}

// Elements that may begin and end within rows: the rest of a row, whole rows, the beginning of a row.
void TransposedElements::read_run(size_t first, size_t n, DType to, std::byte* destination) const {
  const size_t row_bytes = rows_ * size_of(to);
  while (n > 0) {
    const size_t column = first % rows_, whole = column == 0 ? n / rows_ : 0;
    const Part part{first / rows_, std::max<size_t>(whole, 1), column, whole > 0 ? rows_ : std::min(n, rows_ - column)};
    read_part(part, to, destination, row_bytes);
    const size_t count = part.rows * part.columns;
    first += count;
    n -= count;
    destination += count * size_of(to);
  }
}

void TransposedElements::read_part(const Part& part, DType to, std::byte* destination, size_t pitch) const {
  const size_t size = size_of(to);
  std::array<std::byte, kSide * kSide * sizeof(uint64_t)> tile;
  for (size_t r = 0; r < part.rows; r += kSide) {
    const size_t rows = std::min(kSide, part.rows - r);
    for (size_t c = 0; c < part.columns; c += kSide) {
      const size_t columns = std::min(kSide, part.columns - c);
      below_->read_block({(part.column + c) * columns_ + part.row + r, columns, rows, columns_}, to, tile.data(),
                         rows * size);
      transpose(size, tile.data(), rows, columns, destination + r * pitch + c * size, pitch);
    }
  }
}

void TransposedElements::done(size_t first, size_t n) const noexcept {
  const size_t all = rows_ * columns_;
  if (n > 0 && first + n == all) below_->done(0, all);
}

}  // namespace tempera
