#include "base/element_reader.h"

#include <utility>

#include "base/error.h"
#include "base/half.h"

namespace tempera {

StoredElements::StoredElements(DType dtype, std::span<const std::byte> bytes, std::shared_ptr<const void> owner,
                               Release release)
    : dtype_(dtype), bytes_(bytes), owner_(std::move(owner)), release_(std::move(release)) {}

void StoredElements::read_block(const ElementBlock& block, DType to, std::byte* destination, size_t pitch) const {
  if (block.rows == 0 || block.columns == 0) return;
  const size_t size = size_of(dtype_);
  TEMPERA_ASSERT(block.first + (block.rows - 1) * block.stride + block.columns <= bytes_.size() / size);
  const std::byte* from = bytes_.data() + block.first * size;
  for (size_t r = 0; r < block.rows; ++r)
    convert(from + r * block.stride * size, dtype_, destination + r * pitch, to, block.columns);
}

void StoredElements::done(size_t first, size_t n) const noexcept {
  if (release_) release_(bytes_.subspan(first * size_of(dtype_), n * size_of(dtype_)));
}

}  // namespace tempera
