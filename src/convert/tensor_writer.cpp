#include "convert/tensor_writer.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/error.h"
#include "base/half.h"
#include "base/parallel.h"
#include "weights/block_encoders.h"
#include "weights/safetensors_writer.h"

namespace tempera {
namespace {

constexpr size_t kPiece = size_t{1} << 19;  // elements at a time, a multiple of all blocks: 2 MiB of floats

// The largest magnitude that a number may have to become a finite number of this type.
float limit_of(DType type) {
  switch (type) {
    case DType::f16:
      return std::nextafter(65520.0f, 0.0f);
    case DType::f8_e4m3:
      return 464;
    default:
      return std::numeric_limits<float>::infinity();
  }
}

int64_t elements_of(const GgufSpec& spec) {
  return CheckpointTensor{spec.dtype, spec.dims, {}}.elements();
}

// Infinite numbers and NaN are kept by types that have them.
void check_range(std::span<const float> values, const OutputTensor& tensor) {
  const bool blocks = tensor.spec.blocks != nullptr;
  const float limit = blocks ? std::numeric_limits<float>::max() : limit_of(tensor.spec.dtype);
  const auto at = std::ranges::find_if(
      values, [&](float x) { return blocks ? !std::isfinite(x) : std::isfinite(x) && std::abs(x) > limit; });
  if (at == values.end()) return;
  fail(ErrorCode::invalid_argument, "the tensor {} has the number {}, which {} does not have: give bf16 or fp32 as {}",
       tensor.origin, *at, blocks ? tensor.spec.blocks->name : name(tensor.spec.dtype), FieldName{"dtype"});
}

void encode(std::span<const float> values, const BlockType& type, std::span<std::byte> blocks) {
  const EncodeBlock encode_block = block_encoder(type);
  TEMPERA_ASSERT(encode_block != nullptr);
  parallel_for(static_cast<int64_t>(values.size() / type.elements), 64, [&](int64_t begin, int64_t end) {
    for (auto i = static_cast<size_t>(begin); i < static_cast<size_t>(end); ++i)
      encode_block(&values[i * type.elements], &blocks[i * type.bytes]);
  });
}

std::vector<GgufSpec> specs_of(const std::vector<OutputTensor>& tensors) {
  std::vector<GgufSpec> specs;
  specs.reserve(tensors.size());
  for (const OutputTensor& tensor : tensors) specs.push_back(tensor.spec);
  return specs;
}
}  // namespace

void TensorWriter::announce(const std::vector<OutputTensor>& tensors) {
  for (const OutputTensor& tensor : tensors) total_ += tensor.spec.bytes();
}

void TensorWriter::write_safetensors(const std::filesystem::path& path, const std::vector<OutputTensor>& tensors,
                                     const std::map<std::string, std::string>& metadata) {
  std::vector<TensorSpec> specs;
  specs.reserve(tensors.size());
  for (const OutputTensor& tensor : tensors) specs.push_back({tensor.spec.name, tensor.spec.dtype, tensor.spec.dims});
  SafetensorsWriter file(path, specs, metadata);
  write_all(file, tensors);
}

void TensorWriter::write_gguf(const std::filesystem::path& path, const std::vector<OutputTensor>& tensors) {
  GgufWriter file(path, specs_of(tensors));
  write_all(file, tensors);
}

template <class File>
void TensorWriter::write_all(File& file, const std::vector<OutputTensor>& tensors) {
  for (const OutputTensor& tensor : tensors) {
    const size_t count = static_cast<size_t>(elements_of(tensor.spec)) / tensor.readers.size();
    for (const auto& reader : tensor.readers) write_elements(file, tensor, *reader, count);
  }
  file.commit();
}

template <class File>
void TensorWriter::write_elements(File& file, const OutputTensor& tensor, const ElementReader& reader, size_t count) {
  const GgufSpec& spec = tensor.spec;
  const bool is_copied = spec.blocks == nullptr && spec.dtype == tensor.read_as;
  for (size_t first = 0; first < count; first += kPiece) {
    if (cancelled_ && cancelled_()) fail(ErrorCode::cancelled, "stopped");
    const size_t n = std::min(kPiece, count - first);
    bytes_.resize(spec.blocks == nullptr ? n * size_of(spec.dtype) : n / spec.blocks->elements * spec.blocks->bytes);
    if (is_copied) {
      reader.read(first, n, spec.dtype, bytes_.data());
    } else {
      floats_.resize(n);
      reader.read(first, n, DType::f32, std::as_writable_bytes(std::span(floats_)).data());
      check_range(floats_, tensor);
      if (spec.blocks != nullptr) {
        encode(floats_, *spec.blocks, bytes_);
      } else {
        convert(floats_.data(), DType::f32, bytes_.data(), spec.dtype, n);
      }
    }
    reader.done(first, n);
    file.append(bytes_);
    done_ += bytes_.size();
    if (progress_) progress_(done_, total_);
  }
}

}  // namespace tempera
