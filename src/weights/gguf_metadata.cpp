#include "weights/gguf_metadata.h"

#include <array>
#include <bit>
#include <set>

#include "weights/checkpoint.h"

namespace tempera {
namespace {

constexpr std::string_view kOriginalShape = "comfy.gguf.orig_shape.";

// Types of values, by number.
enum class Value : uint32_t { u8, i8, u16, i16, u32, i32, f32, boolean, string, array, u64, i64, f64 };
constexpr std::array<uint8_t, 13> kValueBytes = {1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8};  // 0: not of a fixed size

Value value_type(GgufCursor& file, std::string_view key) {
  const auto number = file.number<uint32_t>("the type of a value");
  if (number >= kValueBytes.size()) {
    fail(ErrorCode::bad_file, "'{}': the value of {} is of the unknown type {}", file.what(), in_quotes(key), number);
  }
  return static_cast<Value>(number);
}

void check_type(Value type, Value expected, std::string_view key, std::string_view name, std::string_view what) {
  if (type == expected) return;
  fail(ErrorCode::bad_file, "'{}': the value of {} is of type {}, must be {}", what, in_quotes(key),
       static_cast<uint32_t>(type), name);
}

void skip_scalar(GgufCursor& file, Value type, std::string_view key) {
  if (type == Value::string) {
    file.text("a string of the metadata");
    return;
  }
  const auto bytes = file.take(kValueBytes[static_cast<size_t>(type)], "a value of the metadata");
  if (type == Value::boolean && std::to_integer<uint8_t>(bytes[0]) > 1) {
    fail(ErrorCode::bad_file, "'{}': the value of {} must be true or false (1 or 0)", file.what(), in_quotes(key));
  }
}

struct ArrayStart {
  Value type;
  uint64_t count;
};

ArrayStart read_array_start(GgufCursor& file, std::string_view key) {
  const Value type = value_type(file, key);
  if (type == Value::array) {
    fail(ErrorCode::bad_file, "'{}': the value of {} is an array of arrays, which no model has", file.what(),
         in_quotes(key));
  }
  const uint64_t least = type == Value::string ? 8 : kValueBytes[static_cast<size_t>(type)];
  return {type, file.count(file.number<uint64_t>("the length of an array"), least, "elements of an array")};
}

std::vector<int64_t> read_original_shape(GgufCursor& file, std::string_view key) {
  const auto [type, count] = read_array_start(file, key);
  check_type(type, Value::i32, key, "32-bit integers", file.what());
  if (count < 1 || count > kMaxGgufRank) {
    fail(ErrorCode::bad_file, "'{}': {} has {} dimensions, must have 1 to {}", file.what(), in_quotes(key), count,
         kMaxGgufRank);
  }
  std::vector<int64_t> dims;
  for (uint64_t i = 0; i < count; ++i) {
    dims.push_back(file.number<int32_t>("a dimension"));
    if (dims.back() < 1) {
      fail(ErrorCode::bad_file, "'{}': {} has the dimension {}", file.what(), in_quotes(key), dims.back());
    }
  }
  return dims;
}

void read_value(GgufCursor& file, std::string_view key, GgufMetadata& metadata) {
  const Value type = value_type(file, key);
  if (key == "general.alignment") {
    check_type(type, Value::u32, key, "an unsigned 32-bit integer", file.what());
    metadata.alignment = file.number<uint32_t>("the alignment");
    if (!std::has_single_bit(metadata.alignment)) {
      fail(ErrorCode::bad_file, "'{}': general.alignment is {}, must be a power of two", file.what(),
           metadata.alignment);
    }
  } else if (key == "general.architecture") {
    check_type(type, Value::string, key, "a string", file.what());
    metadata.architecture = file.text("the architecture");
  } else if (key.starts_with(kOriginalShape)) {
    check_type(type, Value::array, key, "an array", file.what());
    metadata.original_shapes.emplace(key.substr(kOriginalShape.size()), read_original_shape(file, key));
  } else if (type == Value::array) {
    const auto [element, count] = read_array_start(file, key);
    for (uint64_t i = 0; i < count; ++i) skip_scalar(file, element, key);
  } else {
    skip_scalar(file, type, key);
  }
}

}  // namespace

GgufMetadata read_gguf_metadata(GgufCursor& file, uint64_t count) {
  GgufMetadata metadata;
  std::set<std::string_view> keys;
  for (uint64_t i = 0; i < count; ++i) {
    const std::string_view key = file.name("a key of the metadata");
    if (!keys.insert(key).second)
      fail(ErrorCode::bad_file, "'{}': the key {} appears twice", file.what(), in_quotes(key));
    read_value(file, key, metadata);
  }
  return metadata;
}

}  // namespace tempera
