#include "convert/tensor_types.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <string>

#include "base/error.h"
#include "source/unet_source.h"
#include "weights/block_types.h"

namespace tempera {
namespace {

constexpr std::array kBlockTypes = {"Q8_0", "Q6_K", "Q5_K", "Q5_1", "Q5_0", "Q4_K", "Q4_1", "Q4_0"};

const BlockType* find_block_type(std::string_view text) {
  std::string upper(text);
  std::ranges::transform(upper, upper.begin(), [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
  const auto* at = std::ranges::find(kBlockTypes, upper);
  return at == kBlockTypes.end() ? nullptr : &block_type(*at);
}

bool is_fp8(DType type) {
  return type == DType::f8_e4m3 || type == DType::f8_e5m2;
}

// The types to which convert() of base/half.h converts.
bool can_be_computed(DType type) {
  return type == DType::f32 || type == DType::f16 || type == DType::bf16 || type == DType::f8_e4m3;
}
}  // namespace

TensorTypes::TensorTypes(std::string_view dtype, OutputKind kind) : kind_(kind) {
  if (dtype.empty()) return;
  const bool gguf = kind == OutputKind::gguf;
  blocks_ = find_block_type(dtype);
  fp8_ = dtype == "fp8";
  if (blocks_ != nullptr && !gguf) {
    fail(ErrorCode::invalid_argument, "{} is '{}', which only GGUF files have: give an output that ends in .gguf",
         FieldName{"dtype"}, dtype);
  }
  if (fp8_ && gguf) {
    fail(ErrorCode::invalid_argument,
         "{} is 'fp8', which GGUF files do not have: give q8_0, or an output of another kind", FieldName{"dtype"});
  }
  dtype_ = blocks_ != nullptr || fp8_ ? DType::f16 : parse_dtype(dtype);
  if (dtype_ != DType::f16 && dtype_ != DType::bf16 && dtype_ != DType::f32) {
    fail(ErrorCode::invalid_argument,
         "{} is '{}': give fp16, bf16, fp32 or fp8, or for a .gguf file q8_0, q6_k, q5_k, q5_1, q5_0, q4_k, q4_1 or "
         "q4_0",
         FieldName{"dtype"}, dtype);
  }
}

void TensorTypes::set(GgufSpec& spec, std::string_view component, const CheckpointTensor& stored, bool is_changed,
                      std::string_view origin) const {
  if (dtype_) {
    const bool unet = component == kUnet && spec.dims.size() >= 2;
    spec.dtype = fp8_ && unet ? DType::f8_e4m3 : *dtype_;
    if (blocks_ != nullptr && unet && spec.dims.back() % static_cast<int64_t>(blocks_->elements) == 0) {
      spec.dtype = DType::f32;
      spec.blocks = blocks_;
    }
    return;
  }
  spec.dtype = stored.dtype;
  const bool no_such_type = stored.blocks != nullptr || (kind_ == OutputKind::gguf && is_fp8(stored.dtype)) ||
                            (is_changed && !can_be_computed(stored.dtype));
  if (no_such_type || stored.scaled) {
    fail(ErrorCode::invalid_argument, "the tensor {} is stored as {}{}, which is not written unchanged: give {}",
         origin, stored.stored_type(), stored.scaled ? " with a scale" : "", FieldName{"dtype"});
  }
}

}  // namespace tempera
