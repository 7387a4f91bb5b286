// A matrix read as its transpose, tile by tile, through a buffer of fixed size.
#pragma once

#include <memory>

#include "base/element_reader.h"

namespace tempera {

class TransposedElements final : public ElementReader {
 public:
  // `below` is a reader of a matrix (rows, columns). This reads it as (columns, rows).
  TransposedElements(std::shared_ptr<const ElementReader> below, size_t rows, size_t columns);

  void read_block(const ElementBlock& block, DType to, std::byte* destination, size_t pitch) const override;
  // The elements of a row of this matrix are in all rows of the source. So the whole source is given back with the last
  // element of this matrix.
  void done(size_t first, size_t n) const noexcept override;

 private:
  // A part of this matrix, within its rows.
  struct Part {
    size_t row, rows, column, columns;
  };
  void read_run(size_t first, size_t n, DType to, std::byte* destination) const;
  void read_part(const Part& part, DType to, std::byte* destination, size_t pitch) const;

  std::shared_ptr<const ElementReader> below_;
  size_t rows_, columns_;  // of the source
};

}  // namespace tempera
