#include "weights/finite_values.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "base/error.h"

namespace tempera {

std::string fault_in_values(const CheckpointTensor& tensor) {
  std::vector<float> values(1 << 16);
  const auto count = static_cast<size_t>(tensor.elements());
  size_t nan = 0, infinite = 0;
  for (size_t first = 0; first < count; first += values.size()) {
    const size_t n = std::min(values.size(), count - first);
    tensor.reader->read(first, n, DType::f32, reinterpret_cast<std::byte*>(values.data()));
    tensor.reader->done(first, n);
    for (size_t i = 0; i < n; ++i) {
      nan += std::isnan(values[i]) ? 1 : 0;
      infinite += std::isinf(values[i]) ? 1 : 0;
    }
  }
  if (nan + infinite == 0) return {};
  return fmt::format("{} NaN and {} infinite elements of {}", nan, infinite, count);
}

std::string damaged_tensor(const Checkpoint& weights) {
  for (const std::string& name : weights.names()) {
    try {
      const std::string fault = fault_in_values(weights.get(name));
      if (!fault.empty()) return fmt::format("{} has {}", weights.origin(name), fault);
    } catch (const Error&) {
      continue;  // a type that is not supported: no part of the model
    }
  }
  return {};
}

}  // namespace tempera
