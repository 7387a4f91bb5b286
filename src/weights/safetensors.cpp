#include "weights/safetensors.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/json.h"

namespace tempera {
namespace {
using nlohmann::json;

constexpr size_t kLengthBytes = 8;
constexpr size_t kMaxRank = 64;  // PyTorch's own limit; keeps a hostile header from costing more than its size

constexpr size_t kMaxValues = 200'000;  // of 20,000 tensors; SDXL has 2,500
constexpr size_t kMaxElements = 1024;   // of a list of dimensions: so that one that is too long is named as such

struct FormatType {
  std::string_view name;
  uint32_t bits;
  std::optional<DType> dtype;
};
constexpr std::array kTypes = {
    FormatType{"F32", 32, DType::f32},
    FormatType{"F16", 16, DType::f16},
    FormatType{"BF16", 16, DType::bf16},
    FormatType{"F64", 64, DType::f64},
    FormatType{"I32", 32, DType::i32},
    FormatType{"I64", 64, DType::i64},
    FormatType{"U8", 8, DType::u8},
    FormatType{"I8", 8, DType::i8},
    FormatType{"I16", 16, DType::i16},
    FormatType{"BOOL", 8, DType::boolean},
    FormatType{"F8_E4M3", 8, DType::f8_e4m3},
    FormatType{"F8_E5M2", 8, DType::f8_e5m2},
    FormatType{"U16", 16, {}},
    FormatType{"U32", 32, {}},
    FormatType{"U64", 64, {}},
    FormatType{"C64", 64, {}},
    FormatType{"F8_E8M0", 8, {}},
    FormatType{"F6_E2M3", 6, {}},
    FormatType{"F6_E3M2", 6, {}},
    FormatType{"F4", 4, {}},
    FormatType{"F8_E4M3FNUZ", 8, {}},
    FormatType{"F8_E5M2FNUZ", 8, {}},
};

std::string_view as_text(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

struct Framing {
  std::string_view json;  // without the spaces that pad it
  size_t data_begin;
};

Framing read_framing(std::span<const std::byte> file, std::string_view what) {
  if (file.size() < kLengthBytes) {
    fail(ErrorCode::bad_file, "'{}' is truncated or not a safetensors file: it has {} bytes; get it again", what,
         file.size());
  }
  uint64_t length = 0;
  for (size_t i = 0; i < kLengthBytes; ++i) length |= std::to_integer<uint64_t>(file[i]) << (8 * i);
  if (length > kMaxSafetensorsHeader) {
    fail(ErrorCode::bad_file,
         "'{}' is not a safetensors file: its header would have {} bytes, more than the {} allowed", what, length,
         kMaxSafetensorsHeader);
  }
  if (length > file.size() - kLengthBytes) {
    fail(ErrorCode::bad_file, "'{}' is truncated: its header has {} bytes, the file {}; get it again", what, length,
         file.size());
  }
  std::string_view text = as_text(file.subspan(kLengthBytes, length));
  text = text.substr(0, text.find_last_not_of(' ') + 1);
  if (text.empty() || text.front() != '{' || text.back() != '}') {
    fail(ErrorCode::bad_file, "'{}' is not a safetensors file: its header is no JSON object padded with spaces", what);
  }
  return {text, kLengthBytes + length};
}

uint64_t unsigned_value(const json& value, std::string_view tensor, std::string_view what) {
  if (!value.is_number_unsigned()) {
    fail(ErrorCode::bad_file, "'{}': the tensor {} has a shape or offset that is no whole number", what,
         in_quotes(tensor));
  }
  return value.get<uint64_t>();
}

const json& member(const json& info, const char* key, json::value_t type, std::string_view tensor,
                   std::string_view what) {
  const auto at = info.find(key);
  if (at == info.end() || at->type() != type) {
    fail(ErrorCode::bad_file, "'{}': the tensor {} has no valid \"{}\"", what, in_quotes(tensor), key);
  }
  return *at;
}

const FormatType& format_type(const std::string& type, std::string_view tensor, std::string_view what) {
  for (const FormatType& candidate : kTypes) {
    if (candidate.name == type) return candidate;
  }
  fail(ErrorCode::bad_file, "'{}': the tensor {} is of the unknown type {}", what, in_quotes(tensor), in_quotes(type));
}

// Shape into entry.dims; returns the bytes it needs.
uint64_t read_shape(const json& shape, uint32_t bits_per_element, std::string_view what, SafetensorsEntry& entry) {
  if (shape.size() > kMaxRank) {
    fail(ErrorCode::bad_file, "'{}': the tensor {} has {} dimensions, more than {}", what, in_quotes(entry.name),
         shape.size(), kMaxRank);
  }
  uint64_t bits = bits_per_element;
  for (const json& element : shape) {
    const uint64_t dim = unsigned_value(element, entry.name, what);
    if (!std::in_range<int64_t>(dim) || __builtin_mul_overflow(bits, dim, &bits)) {
      fail(ErrorCode::bad_file, "'{}': the shape of the tensor {} overflows", what, in_quotes(entry.name));
    }
    entry.dims.push_back(static_cast<int64_t>(dim));
  }
  if (bits % 8 != 0) {
    fail(ErrorCode::bad_file, "'{}': the tensor {} does not end at a whole byte", what, in_quotes(entry.name));
  }
  return bits / 8;
}

SafetensorsEntry read_entry(const std::string& name, const json& info, size_t data_begin, size_t file_size,
                            std::string_view what) {
  if (!info.is_object()) fail(ErrorCode::bad_file, "'{}': the tensor {} is not described", what, in_quotes(name));
  SafetensorsEntry entry;
  entry.name = name;
  const FormatType& type =
      format_type(member(info, "dtype", json::value_t::string, name, what).get_ref<const std::string&>(), name, what);
  entry.dtype_name = type.name;
  entry.dtype = type.dtype;
  const uint64_t bytes = read_shape(member(info, "shape", json::value_t::array, name, what), type.bits, what, entry);

  const json& offsets = member(info, "data_offsets", json::value_t::array, name, what);
  if (offsets.size() != 2) fail(ErrorCode::bad_file, "'{}': the tensor {} has no two offsets", what, in_quotes(name));
  const uint64_t begin = unsigned_value(offsets[0], name, what);
  const uint64_t end = unsigned_value(offsets[1], name, what);
  if (begin > end || end - begin != bytes) {
    fail(ErrorCode::bad_file, "'{}': the tensor {} has the bytes {} to {}, its shape needs {}", what, in_quotes(name),
         begin, end, bytes);
  }
  if (end > file_size - data_begin) {
    fail(ErrorCode::bad_file,
         "'{}' is truncated: the tensor {} ends {} bytes after the header, the file after {}; get it again", what,
         in_quotes(name), end, file_size - data_begin);
  }
  entry.begin = data_begin + begin;
  entry.end = data_begin + end;
  return entry;
}

// That the ranges tile the data: sorted, each begins where the one before it ends.
void check_tiling(const std::vector<SafetensorsEntry>& tensors, size_t data_begin, size_t file_size,
                  std::string_view what) {
  std::vector<const SafetensorsEntry*> in_order;
  in_order.reserve(tensors.size());
  for (const SafetensorsEntry& entry : tensors) in_order.push_back(&entry);
  std::sort(in_order.begin(), in_order.end(),
            [](const auto* a, const auto* b) { return std::pair(a->begin, a->end) < std::pair(b->begin, b->end); });
  size_t position = data_begin;
  for (const SafetensorsEntry* entry : in_order) {
    if (entry->begin != position) {
      fail(ErrorCode::bad_file, "'{}': there is {} before the tensor {}", what,
           entry->begin < position ? "an overlap" : "a hole", in_quotes(entry->name));
    }
    position = entry->end;
  }
  if (position != file_size) {
    fail(ErrorCode::bad_file, "'{}' has {} bytes after its last tensor: it is damaged, get it again", what,
         file_size - position);
  }
}
}  // namespace

SafetensorsHeader parse_safetensors(std::span<const std::byte> file, std::string_view what) {
  const auto [text, data_begin] = read_framing(file, what);
  const json header = parse_json(
      text, what, {.max_bytes = kMaxSafetensorsHeader, .max_values = kMaxValues, .max_elements = kMaxElements});

  SafetensorsHeader result;
  result.data_begin = data_begin;
  result.tensors.reserve(header.size());
  for (const auto& [name, info] : header.items()) {
    if (name != "__metadata__") {
      result.tensors.push_back(read_entry(name, info, data_begin, file.size(), what));
      continue;
    }
    if (!info.is_object()) fail(ErrorCode::bad_file, "'{}': __metadata__ is no object", what);
    for (const auto& [key, value] : info.items()) {
      if (!value.is_string()) {
        fail(ErrorCode::bad_file, "'{}': the metadata {} is no string", what, in_quotes(key));
      }
      result.metadata.emplace(key, value.get_ref<const std::string&>());
    }
  }
  check_tiling(result.tensors, data_begin, file.size(), what);
  return result;  // nlohmann keeps an object's members sorted by name
}

std::string_view safetensors_name(DType type) {
  const auto* at = std::find_if(kTypes.begin(), kTypes.end(), [&](const FormatType& row) { return row.dtype == type; });
  TEMPERA_ASSERT(at != kTypes.end());
  return at->name;
}

SafetensorsFile::SafetensorsFile(const std::filesystem::path& path)
    : SafetensorsFile(std::make_shared<const MappedFile>(path)) {}

SafetensorsFile::SafetensorsFile(std::shared_ptr<const MappedFile> file) : file_(std::move(file)) {
  refuse_other_formats(file_->bytes().first(std::min<size_t>(file_->bytes().size(), 64)), path());
  header_ = parse_safetensors(file_->bytes(), path().string());
}

const SafetensorsEntry* SafetensorsFile::entry(std::string_view name) const {
  const auto at =
      std::lower_bound(header_.tensors.begin(), header_.tensors.end(), name,
                       [](const SafetensorsEntry& entry, std::string_view wanted) { return entry.name < wanted; });
  return at != header_.tensors.end() && at->name == name ? &*at : nullptr;
}

std::vector<std::string> SafetensorsFile::names() const {
  std::vector<std::string> names;
  names.reserve(header_.tensors.size());
  for (const SafetensorsEntry& tensor : header_.tensors) names.push_back(tensor.name);
  return names;
}

std::optional<CheckpointTensor> SafetensorsFile::find(std::string_view name) const {
  const SafetensorsEntry* tensor = entry(name);
  if (tensor == nullptr) return std::nullopt;
  if (!tensor->dtype) {
    fail(ErrorCode::bad_file,
         "the tensor {} is of type {}, which is not supported: use a file in float16, bfloat16, float32 or fp8",
         origin(name), tensor->dtype_name);
  }
  const std::span<const std::byte> bytes = file_->bytes().subspan(tensor->begin, tensor->end - tensor->begin);
  const auto release = [file = file_.get()](std::span<const std::byte> range) { file->release(range); };
  return CheckpointTensor{*tensor->dtype, tensor->dims,
                          std::make_shared<StoredElements>(*tensor->dtype, bytes, file_, release)};
}

std::string SafetensorsFile::origin(std::string_view name) const {
  return fmt::format("{} in '{}'", in_quotes(name), file_->path().string());
}

}  // namespace tempera
