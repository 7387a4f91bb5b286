#include "backend/backend.h"

#include "base/half.h"

namespace tempera {

void pack_plain(DType dtype, std::span<const WeightPart> parts, std::byte* destination) {
  for (const WeightPart& part : parts) {
    const size_t n = part.bytes.size() / size_of(part.dtype);
    convert(part.bytes.data(), part.dtype, destination, dtype, n);
    destination += n * size_of(dtype);
  }
}

}  // namespace tempera
