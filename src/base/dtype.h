// Element types of tensors and files.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

namespace tempera {

enum class DType : uint8_t { f32, f16, bf16, f64, i32, i64, u8, i8, i16, boolean, f8_e4m3, f8_e5m2 };

// Bytes of one element.
constexpr size_t size_of(DType type) {
  switch (type) {
    case DType::f64:
    case DType::i64:
      return 8;
    case DType::f32:
    case DType::i32:
      return 4;
    case DType::f16:
    case DType::bf16:
    case DType::i16:
      return 2;
    default:
      return 1;
  }
}

// The names used in dumps and on the command line: "f32", "bf16", ...
std::string_view name(DType type);

// The inverse of name(), also accepting "fp32", "float32", "fp16", "float16", "half", "bfloat16".
std::optional<DType> parse_dtype(std::string_view text);

}  // namespace tempera
