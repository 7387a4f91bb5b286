// Elements of a tensor, read piece by piece: stored bytes, a transposed matrix, or values that a source computes. A
// reader converts on the way, so no whole tensor has to be in memory before it is packed.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <span>

#include "base/dtype.h"

namespace tempera {

// Parts of rows at equal distances. Elements are counted in row-major order.
struct ElementBlock {
  size_t first = 0;              // the first element of the first row
  size_t rows = 1, columns = 0;  // columns: elements of one row
  size_t stride = 0;             // from the first element of a row to the first of the next
};

// All methods may be called from several threads at once.
class ElementReader {
 public:
  virtual ~ElementReader() = default;
  ElementReader() = default;
  ElementReader(const ElementReader&) = delete;
  ElementReader& operator=(const ElementReader&) = delete;

  // Writes the elements of a block as `to`: element (r, c) to destination + r * pitch + c * size_of(to). A call is more
  // expensive than an element, and a transposed matrix reads many rows at once faster than one after the other. So
  // callers read blocks as large as their buffers.
  virtual void read_block(const ElementBlock& block, DType to, std::byte* destination, size_t pitch) const = 0;

  // Elements [first, first + n), dense.
  void read(size_t first, size_t n, DType to, std::byte* destination) const {
    read_block({first, 1, n, n}, to, destination, 0);
  }

  // The caller will not read elements [first, first + n) again soon, so the pages of a file can be released. Reading
  // them again is correct, but slower. A caller gives back each element once, in ascending order.
  virtual void done(size_t first, size_t n) const noexcept = 0;
};

// Elements in memory, dense, in the machine's byte order, at any address.
class StoredElements final : public ElementReader {
 public:
  using Release = std::function<void(std::span<const std::byte>)>;  // does not throw

  // `owner` keeps the bytes alive, unless the caller does; `release` receives the bytes that done() names.
  StoredElements(DType dtype, std::span<const std::byte> bytes, std::shared_ptr<const void> owner = {},
                 Release release = {});

  void read_block(const ElementBlock& block, DType to, std::byte* destination, size_t pitch) const override;
  void done(size_t first, size_t n) const noexcept override;

 private:
  DType dtype_;
  std::span<const std::byte> bytes_;
  std::shared_ptr<const void> owner_;
  Release release_;
};

}  // namespace tempera
