#include "adapters/layer_parts.h"

#include <cmath>

#include "base/error.h"
#include "base/half.h"

namespace tempera {
namespace {

size_t elements_from(const std::vector<int64_t>& dims, size_t axis) {
  size_t n = 1;
  for (size_t i = axis; i < dims.size(); ++i) n *= static_cast<size_t>(dims[i]);
  return n;
}

}  // namespace

std::vector<float> Factor::read() const {
  std::vector<float> values(shape.elements());
  reader->read(0, values.size(), DType::f32, std::as_writable_bytes(std::span(values)).data());
  reader->done(0, values.size());
  return values;
}

std::vector<float> Factor::read_transposed() const {
  const std::vector<float> values = read();
  std::vector<float> transposed(values.size());
  for (size_t r = 0; r < shape.rows; ++r)
    for (size_t c = 0; c < shape.columns; ++c) transposed[c * shape.rows + r] = values[r * shape.columns + c];
  return transposed;
}

LayerParts::LayerParts(const AdapterLayer& layer) : layer_(layer) {
  const std::vector<int64_t>& dims = layer.parameter.dims;
  shape_ = dims.size() < 2 ? MatrixShape{1, elements_from(dims, 0)}
                           : MatrixShape{static_cast<size_t>(dims[0]), elements_from(dims, 1)};
  taps_ = elements_from(dims, 2);
  TEMPERA_ASSERT(shape_.elements() > 0);
}

Factor LayerParts::factor(std::string_view name) {
  const auto part = layer_.parts.find(name);
  if (part == layer_.parts.end()) {
    fail(ErrorCode::bad_file, "the layer of {} lacks the part {}: the file is damaged or not complete, get it again",
         layer_.origin, name);
  }
  used_.emplace(name);
  const CheckpointTensor& tensor = part->second;
  if (!can_convert(tensor.dtype)) {
    fail(ErrorCode::bad_file,
         "the layer of {} has the part {} of type {}: use an adapter in float32, float16 or bfloat16", layer_.origin,
         name, tempera::name(tensor.dtype));
  }
  const size_t rows = tensor.dims.empty() ? 1 : static_cast<size_t>(tensor.dims[0]);
  Factor factor{tensor.reader, {rows, elements_from(tensor.dims, 1)}};
  require(factor.shape.elements() > 0, name);
  return factor;
}

std::optional<float> LayerParts::number(std::string_view name) {
  if (!has(name)) return {};
  const Factor part = factor(name);
  require(part.shape.elements() == 1, name);
  const float value = part.read()[0];
  if (!std::isfinite(value)) {
    fail(ErrorCode::bad_file, "the layer of {} has {} = {}: the file is damaged, get it again", layer_.origin, name,
         value);
  }
  return value;
}

bool LayerParts::flag(std::string_view name) {
  const auto part = layer_.parts.find(name);
  if (part == layer_.parts.end() || part->second.dtype != DType::boolean) return number(name).value_or(0.0f) != 0;
  used_.emplace(name);
  require(part->second.elements() == 1, name);
  std::byte value{};
  part->second.reader->read(0, 1, DType::boolean, &value);
  part->second.reader->done(0, 1);
  return value != std::byte{0};
}

float LayerParts::scale(size_t rank) {
  const std::optional<float> scale = number("scale"), alpha = number("alpha");
  return scale ? *scale : alpha ? *alpha / static_cast<float>(rank) : 1;
}

void LayerParts::require(bool fits, std::string_view name) const {
  if (fits) return;
  fail(ErrorCode::bad_file,
       "the layer of {} has the part {} of shape {}, which does not fit its other parts or the parameter {} of shape "
       "{}: use an adapter for this kind of model",
       layer_.origin, name, dims_to_string(dims(name)), layer_.parameter.name, dims_to_string(layer_.parameter.dims));
}

void LayerParts::finish() const {
  for (const auto& [name, tensor] : layer_.parts) {
    if (used_.contains(name) || name == "alpha" || name == "scale") continue;
    fail(ErrorCode::bad_file,
         "the layer of {} has the part {}, which belongs to no supported formula together with the others: use a "
         "LoRA, LoCon, LoHa, LoKr, DoRA, GLoRA, IA3, OFT or full adapter",
         layer_.origin, in_quotes(name));
  }
}

}  // namespace tempera
