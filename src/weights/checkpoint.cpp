#include "weights/checkpoint.h"

#include <fmt/ranges.h>

#include <algorithm>

#include "base/error.h"

namespace tempera {

int64_t CheckpointTensor::elements() const {
  uint64_t count = 1;  // unsigned: shapes that no model has are refused after they were multiplied
  for (const int64_t dim : dims) count *= static_cast<uint64_t>(dim);
  return static_cast<int64_t>(count);
}

std::vector<float> CheckpointTensor::floats() const {
  std::vector<float> values(static_cast<size_t>(elements()));
  reader->read(0, values.size(), DType::f32, std::as_writable_bytes(std::span(values)).data());
  return values;
}

std::string dims_to_string(std::span<const int64_t> dims) {
  return dims.empty() ? "scalar" : fmt::format("{}", fmt::join(dims, "x"));
}

const std::map<std::string, std::string>& Checkpoint::metadata() const {
  static const std::map<std::string, std::string> kNone;
  return kNone;
}

CheckpointTensor Checkpoint::get(std::string_view name) const {
  std::optional<CheckpointTensor> tensor = find(name);
  if (!tensor)
    fail(ErrorCode::bad_file, "the tensor {} is missing: the model is incomplete or of another kind", origin(name));
  return *std::move(tensor);
}

std::string in_quotes(std::string_view text) {
  constexpr size_t kLongest = 200;
  std::string quoted(text.substr(0, kLongest));
  std::replace_if(
      quoted.begin(), quoted.end(), [](unsigned char c) { return c < 0x20 || c == 0x7f; }, '?');
  return text.size() > kLongest ? fmt::format("'{}...'", quoted) : fmt::format("'{}'", quoted);
}

}  // namespace tempera
