// A part of a parameter seen as a matrix: rows of the first dimension, all other dimensions in one. Formulas compute
// one tile at a time.
#pragma once

#include <cstddef>

#include "base/element_reader.h"

namespace tempera {

struct MatrixShape {
  size_t rows = 0, columns = 0;

  size_t elements() const { return rows * columns; }
};

struct Tile {
  // Formulas have buffers of this size (32 KiB) on the stack.
  static constexpr size_t kElements = 8192;

  size_t row = 0, rows = 0, column = 0, columns = 0;  // rows * columns <= kElements
};

// The float32 values of a tile of a matrix with `matrix_columns` columns. `pitch`: elements from row to row of
// `values`.
inline void read_tile(const ElementReader& reader, size_t matrix_columns, const Tile& tile, float* values,
                      size_t pitch) {
  reader.read_block({tile.row * matrix_columns + tile.column, tile.rows, tile.columns, matrix_columns}, DType::f32,
                    reinterpret_cast<std::byte*>(values), pitch * sizeof(float));
}

// Calls body(tile) for tiles that cover an area of a matrix, row after row of tiles. Tiles begin at multiples of 32
// columns where the area does, so that they contain whole panels of products.
template <class Body>
void for_each_tile(const Tile& area, const Body& body) {
  constexpr size_t kRows = 64, kAlign = 32;
  for (size_t r = 0; r < area.rows; r += kRows) {
    const size_t rows = area.rows - r < kRows ? area.rows - r : kRows;
    const size_t most = Tile::kElements / rows, end = area.column + area.columns;
    for (size_t c = area.column; c < end;) {
      const size_t next = c + most < end ? (c + most) / kAlign * kAlign : end;
      body(Tile{area.row + r, rows, c, next - c});
      c = next;
    }
  }
}

}  // namespace tempera
