#include "weights/safetensors_writer.h"

#include <fmt/ranges.h>

#include <nlohmann/json.hpp>
#include <set>
#include <string_view>

#include "base/error.h"
#include "weights/safetensors.h"

namespace tempera {

uint64_t TensorSpec::bytes() const {
  uint64_t bytes = size_of(dtype);
  for (const int64_t dim : dims) {
    TEMPERA_ASSERT(dim >= 0 && !__builtin_mul_overflow(bytes, static_cast<uint64_t>(dim), &bytes));
  }
  return bytes;
}

std::string safetensors_header(std::span<const TensorSpec> tensors,
                               const std::map<std::string, std::string>& metadata) {
  std::string text = "{";
  const auto add = [&](const std::string& key, const std::string& value) {
    text += (text.size() > 1 ? "," : "") + nlohmann::json(key).dump() + ":" + value;
  };
  if (!metadata.empty()) add("__metadata__", nlohmann::json(metadata).dump());
  std::set<std::string_view> names = {"__metadata__"};
  uint64_t position = 0;
  for (const TensorSpec& tensor : tensors) {
    TEMPERA_ASSERT(names.insert(tensor.name).second);
    const uint64_t begin = position;
    position += tensor.bytes();
    add(tensor.name, fmt::format(R"({{"dtype":"{}","shape":[{}],"data_offsets":[{},{}]}})",
                                 safetensors_name(tensor.dtype), fmt::join(tensor.dims, ","), begin, position));
  }
  text += "}";
  constexpr size_t kAlignment = 64;
  text.append((kAlignment - (8 + text.size()) % kAlignment) % kAlignment, ' ');
  std::string result;
  for (int i = 0; i < 8; ++i) result.push_back(static_cast<char>(text.size() >> (8 * i) & 0xff));
  return result + text;
}

SafetensorsWriter::SafetensorsWriter(const std::filesystem::path& path, std::span<const TensorSpec> tensors,
                                     const std::map<std::string, std::string>& metadata)
    : file_(path) {
  const std::string header = safetensors_header(tensors, metadata);
  file_.append(std::as_bytes(std::span(header)));
  for (const TensorSpec& tensor : tensors) missing_ += tensor.bytes();
}

void SafetensorsWriter::append(std::span<const std::byte> bytes) {
  TEMPERA_ASSERT(bytes.size() <= missing_);
  file_.append(bytes);
  missing_ -= bytes.size();
}

void SafetensorsWriter::commit() {
  TEMPERA_ASSERT(missing_ == 0);
  file_.commit();
}

}  // namespace tempera
