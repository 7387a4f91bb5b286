#include "base/dtype.h"

namespace tempera {

std::string_view name(DType type) {
  switch (type) {
    case DType::f32:
      return "f32";
    case DType::f16:
      return "f16";
    case DType::bf16:
      return "bf16";
    case DType::f64:
      return "f64";
    case DType::i32:
      return "i32";
    case DType::i64:
      return "i64";
    case DType::u8:
      return "u8";
    case DType::i8:
      return "i8";
    case DType::i16:
      return "i16";
    case DType::boolean:
      return "bool";
    case DType::f8_e4m3:
      return "f8_e4m3";
    case DType::f8_e5m2:
      return "f8_e5m2";
  }
  return "?";
}

std::optional<DType> parse_dtype(std::string_view text) {
  if (text == "fp32" || text == "float32") return DType::f32;
  if (text == "fp16" || text == "float16" || text == "half") return DType::f16;
  if (text == "bfloat16") return DType::bf16;
  for (int i = 0; i <= static_cast<int>(DType::f8_e5m2); ++i)
    if (text == name(static_cast<DType>(i))) return static_cast<DType>(i);
  return std::nullopt;
}

}  // namespace tempera
