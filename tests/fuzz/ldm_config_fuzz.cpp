// The tensors of a small single-file model. The input decides which ones are dropped, renamed or given another shape.
// The result is a consistent configuration or Error(bad_file).
#include <cstdint>
#include <cstdlib>

#include "base/error.h"
#include "source/test_models.h"
#include "weights/made.h"

namespace {
using Tensors = tempera::MadeCheckpoint::Tensors;

// Six bytes per edit: the tensor (2), the operation, its value (2), and its position.
void edit(Tensors& tensors, const uint8_t* bytes) {
  if (tensors.empty()) return;
  const auto at = std::next(tensors.begin(), (bytes[0] | bytes[1] << 8) % static_cast<int>(tensors.size()));
  const int64_t value = bytes[3] | bytes[4] << 8;
  std::vector<int64_t>& dims = at->second.dims;
  switch (bytes[2] % 6) {
    case 0:
      tensors.erase(at);
      break;
    case 1:
      if (!dims.empty()) dims[bytes[5] % dims.size()] = value;
      break;
    case 2:
      if (!dims.empty()) dims[bytes[5] % dims.size()] = value << 40;
      break;
    case 3:
      dims.push_back(value);
      break;
    case 4:
      if (!dims.empty()) dims.pop_back();
      break;
    default: {  // another number in the name
      std::string name = at->first;
      const size_t digit = name.find_first_of("0123456789", value % static_cast<int64_t>(name.size()));
      if (digit == std::string::npos) return;
      name[digit] = static_cast<char>('0' + bytes[5] % 10);
      tensors.emplace(name, at->second);
    }
  }
}
}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const auto* const original = [] {
    auto* tensors = new Tensors;
    for (const tempera::TensorSpec& tensor : tempera::single_file_tensors(tempera::small_model())) {
      (*tensors)[tensor.name] = {tensor.dtype, tensor.dims, {}};
    }
    return tensors;
  }();
  auto tensors = *original;
  for (size_t i = 0; i + 6 <= size && i < 60; i += 6) edit(tensors, data + i);
  try {
    const tempera::LdmModel model =
        tempera::read_ldm_model(tempera::MadeCheckpoint(std::move(tensors), "fuzz"), "fuzz");
    check(model.config, "fuzz");
  } catch (const tempera::Error& error) {
    if (error.code() != tempera::ErrorCode::bad_file) std::abort();
  }
  return 0;
}
