// Any bytes are a GGUF file or give Error(bad_file). What is accepted keeps the format's promises, checked here by
// other means than the reader's: ranges are in the file and apart, and are as long as their shapes and types say. All
// elements can be read.
#include <algorithm>
#include <cstdint>
#include <vector>

#include "base/error.h"
#include "expect.h"
#include "weights/block_types.h"
#include "weights/gguf.h"

using tempera::expect;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::span file = std::as_bytes(std::span(data, size));
  tempera::GgufHeader header;
  try {
    header = tempera::parse_gguf(file, "fuzz");
  } catch (const tempera::Error& error) {
    expect(error.code() == tempera::ErrorCode::bad_file);
    return 0;
  }
  std::vector<uint8_t> owners(size, 0);
  for (const auto& [name, tensor] : header.tensors) {
    expect(!name.empty() && !tensor.dims.empty() && tensor.begin < tensor.end && tensor.end <= size);
    for (size_t i = tensor.begin; i < tensor.end; ++i) expect(++owners[i] == 1);
    __extension__ __int128 elements = 1;
    for (const int64_t dim : tensor.dims) elements = std::min<__int128>(elements * dim, __int128{1} << 64);
    const size_t length = tensor.end - tensor.begin;
    if (tensor.blocks == nullptr) {
      expect(elements * static_cast<int>(tempera::size_of(tensor.dtype)) == static_cast<__int128>(length));
      continue;
    }
    expect(elements * static_cast<int>(tensor.blocks->bytes) ==
           static_cast<__int128>(length) * static_cast<int>(tensor.blocks->elements));
    std::vector<float> values(static_cast<size_t>(elements));
    tempera::BlockElements(*tensor.blocks, file.subspan(tensor.begin, length))
        .read(0, values.size(), tempera::DType::f32, std::as_writable_bytes(std::span(values)).data());
  }
  return 0;
}
