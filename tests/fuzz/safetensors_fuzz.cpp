// Any bytes are a safetensors file or give Error(bad_file). An accepted file keeps the promises of the format, which
// are checked here independently of the reader: every byte of the data belongs to exactly one tensor, and the length of
// a tensor agrees with its shape.
#include <algorithm>
#include <cstdint>
#include <vector>

#include "base/error.h"
#include "expect.h"
#include "weights/safetensors.h"

using tempera::expect;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::span file = std::as_bytes(std::span(data, size));
  tempera::SafetensorsHeader header;
  try {
    header = tempera::parse_safetensors(file, "fuzz");
  } catch (const tempera::Error& error) {
    expect(error.code() == tempera::ErrorCode::bad_file);
    return 0;
  }
  size_t length = 0;
  for (size_t i = 8; i-- > 0;) length = length << 8 | data[i];
  std::vector<uint8_t> owners(size - 8 - length, 0);
  expect(std::is_sorted(header.tensors.begin(), header.tensors.end(),
                        [](const auto& a, const auto& b) { return a.name < b.name; }));
  for (const tempera::SafetensorsEntry& tensor : header.tensors) {
    expect(tensor.begin >= 8 + length && tensor.begin <= tensor.end && tensor.end <= size);
    for (size_t i = tensor.begin; i < tensor.end; ++i) ++owners[i - 8 - length];
    if (!tensor.dtype) continue;
    __extension__ __int128 bytes = tempera::size_of(*tensor.dtype);
    for (const int64_t dim : tensor.dims) bytes = std::min<__int128>(bytes * dim, __int128{1} << 64);
    expect(bytes == static_cast<__int128>(tensor.end - tensor.begin));
  }
  expect(std::all_of(owners.begin(), owners.end(), [](uint8_t count) { return count == 1; }));
  return 0;
}
