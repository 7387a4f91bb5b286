// The tensors of an adapter file, one a line: NAME, dimensions ("2x8"), a value. A line that begins with '=' is PEFT's
// configuration in the metadata. The result has each tensor once, in layers with a complete formula, or there is an
// Error(bad_file).
#include <algorithm>
#include <charconv>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <set>

#include "adapters/adapter_file.h"
#include "adapters/adapter_parts.h"
#include "adapters/test_adapters.h"
#include "base/error.h"
#include "base/half.h"

namespace {
using tempera::CheckpointTensor;
using tempera::DType;
using Tensors = tempera::MadeCheckpoint::Tensors;

void expect(bool condition) {
  if (!condition) std::abort();
}

// Any number of elements of one value, without memory.
class EqualElements final : public tempera::ElementReader {
 public:
  explicit EqualElements(float value) : value_(value) {}
  void read_block(const tempera::ElementBlock& block, DType to, std::byte* destination, size_t pitch) const override {
    for (size_t r = 0; r < block.rows; ++r)
      for (size_t c = 0; c < block.columns; ++c)
        tempera::convert(&value_, DType::f32, destination + r * pitch + c * size_of(to), to, 1);
  }
  void done(size_t, size_t) const noexcept override {}

 private:
  float value_;
};

std::string_view cut(std::string_view& text, char end) {
  const size_t at = std::min(text.find(end), text.size());
  const std::string_view piece = text.substr(0, at);
  text.remove_prefix(std::min(at + 1, text.size()));
  return piece;
}

template <class Number>
Number number(std::string_view text) {
  Number value = 0;
  std::from_chars(text.data(), text.data() + text.size(), value);
  return value;
}

CheckpointTensor tensor_of(std::string_view dims, std::string_view value) {
  CheckpointTensor tensor;
  // A safetensors file has no more than 2^63 elements in a tensor.
  for (int64_t product = 1; !dims.empty() && tensor.dims.size() < 8;) {
    const int64_t dim = std::clamp<int64_t>(number<int64_t>(cut(dims, 'x')), 0, 1 << 20);
    tensor.dims.push_back(product > (int64_t{1} << 40) ? std::min<int64_t>(dim, 1) : dim);
    product *= std::max<int64_t>(tensor.dims.back(), 1);
  }
  const bool is_flag = value == "true";
  tensor.dtype = is_flag ? DType::boolean : DType::f32;
  static constexpr std::byte kOne{1};
  if (is_flag) {
    tensor.reader = std::make_shared<tempera::StoredElements>(DType::boolean, std::span(&kOne, 1));
  } else {
    tensor.reader = std::make_shared<EqualElements>(number<float>(value));
  }
  return tensor;
}

void check(const tempera::AdapterFile& file, const Tensors& tensors) {
  expect(file.matched + file.unmatched.size() + file.left_out.size() == tensors.size());
  expect(std::ranges::is_sorted(file.unmatched));
  std::set<std::pair<std::string, std::string>> parameters;
  for (const tempera::AdapterLayer& layer : file.layers) {
    expect(parameters.emplace(layer.parameter.component, layer.parameter.name).second);
    expect(adapter_formula(layer).has_value());
    expect(!layer.origin.empty());
  }
}
}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const tempera::AdapterNames kNames(tempera::test::some_parameters());
  std::string_view text(reinterpret_cast<const char*>(data), size);
  Tensors tensors;
  tempera::MadeCheckpoint::Metadata metadata;
  while (!text.empty()) {
    std::string_view line = cut(text, '\n');
    if (line.starts_with('=')) {
      metadata["lora_adapter_metadata"] = line.substr(1);
      continue;
    }
    const std::string_view name = cut(line, ' '), dims = cut(line, ' ');
    tensors.emplace(name, tensor_of(dims, line));
  }
  try {
    check(read_adapter(tempera::MadeCheckpoint(tensors, "fuzz", metadata), kNames, "fuzz"), tensors);
  } catch (const tempera::Error& error) {
    expect(error.code() == tempera::ErrorCode::bad_file);
  }
  return 0;
}
