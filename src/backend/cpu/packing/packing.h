// Converts weights from the checkpoint's form to the blocked form of a kernel. A blocked layout is separable: the
// offset of element (out, in, tap) is offset_out[out] + offset_in[in] + offset_tap[tap]. So three small tables describe
// every layout.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "backend/backend.h"

namespace tempera {

// The offsets of the elements of a tensor. The index i of dimension d is split by the inner blocks of d, innermost
// last.
struct Blocking {
  std::vector<int64_t> padded;              // dimensions rounded up to whole blocks
  std::vector<int64_t> strides;             // of the outer index of each dimension, in elements
  std::vector<int64_t> blocks, block_dims;  // inner blocks and their dimensions, outermost first
};

// A weight (out, in, kernel, kernel), row-major, in the form of the checkpoint. A matrix has kernel 1.
struct WeightShape {
  int64_t out = 0, in = 0, kernel = 1;
  int64_t taps() const { return kernel * kernel; }
};

// The dimensions of a Blocking for out, in, and the kernel's rows and columns; -1 for a matrix's kernel.
struct WeightDims {
  int out = 0, in = 1, y = -1, x = -1;
};

struct WeightLayout {
  WeightShape shape;
  DType dtype = DType::f32;
  std::vector<int64_t> offset_out, offset_in, offset_tap;  // in elements
  int64_t elements = 0;                                    // with padding
  std::string name;                                        // equal names mean equal layouts

  size_t bytes() const { return static_cast<size_t>(elements) * size_of(dtype); }
};

WeightLayout weight_layout(const Blocking& blocking, DType dtype, const WeightDims& dims, const WeightShape& shape);

// Rows (outermost index) of a weight whose parts are concatenated.
class WeightRows {
 public:
  // row_elements: elements of one row. Those before `skip` are not used. Throws Error(internal) when the parts do not
  // have `rows` rows.
  WeightRows(std::span<const WeightPart> parts, int64_t rows, int64_t row_elements, int64_t skip = 0);

  // Elements [skip + first, skip + first + count) of rows [row, row + rows).
  struct Block {
    int64_t row, rows, first, count;
  };
  // Writes a block as `dtype`. Its rows begin `pitch` bytes apart.
  void read(const Block& block, DType dtype, std::byte* destination, int64_t pitch) const;

  // The caller will not read these elements of rows [begin, end) again: `count` of each row, beginning at `skip`. A row
  // is given back with its last element. If the columns of a weight are packed one part after the other, the last part
  // gives it back.
  void done(int64_t begin, int64_t end, int64_t count) const;

 private:
  struct Part {
    int64_t begin, end;  // rows
    const WeightPart* part;
  };
  std::vector<Part> parts_;
  int64_t row_elements_, skip_;
};

// Writes rows [first_row, first_row + layout.shape.out) of `rows` in the form `layout`, on all threads.
void pack_weight(const WeightLayout& layout, const WeightRows& rows, int64_t first_row, std::byte* destination);

}  // namespace tempera
