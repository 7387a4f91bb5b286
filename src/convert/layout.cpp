#include "convert/layout.h"

#include <algorithm>
#include <map>
#include <utility>

#include "base/error.h"
#include "convert/marks.h"
#include "source/ldm_config.h"
#include "source/tiny_vae.h"
#include "source/unet_source.h"
#include "weights/naming.h"
#include "weights/transposed.h"

namespace tempera {
namespace {

constexpr std::string_view kVae = "vae", kVaePrefix = "first_stage_model.";

// A tensor of a component, as the configuration says.
struct PartTensor {
  std::string name;
  std::vector<int64_t> dims;
  CheckpointTensor stored, values;
  std::string origin;
  bool is_changed = false;
};

std::vector<int64_t> dims_of(const Shape& shape) {
  return {shape.dims().begin(), shape.dims().end()};
}

// Files of an autoencoder may have only the decoder.
bool may_be_missing(std::string_view component, std::string_view tensor) {
  return (component == kVae || component == kTinyVaeFolder) &&
         (tensor.starts_with("encoder.") || tensor.starts_with("quant_conv."));
}

std::vector<PartTensor> tensors_of(const ConvertedPart& part) {
  std::vector<PartTensor> tensors;
  for (const Parameter& parameter : parameters_of(part.config)) {
    if (may_be_missing(part.component, parameter.name) && !part.stored->find(parameter.name)) continue;
    PartTensor tensor{parameter.name, dims_of(parameter.shape), part.stored->get(parameter.name),
                      part.weights->get(parameter.name), part.stored->origin(parameter.name)};
    if (tensor.stored.dims != tensor.dims) {
      fail(ErrorCode::bad_file, "the tensor {} is {}, expected {}: use files that fit their configuration",
           tensor.origin, dims_to_string(tensor.stored.dims), dims_to_string(tensor.dims));
    }
    tensor.is_changed = tensor.values.revision != tensor.stored.revision;
    tensors.push_back(std::move(tensor));
  }
  std::ranges::sort(tensors, {}, &PartTensor::name);
  return tensors;
}

std::shared_ptr<const ElementReader> transposed(const CheckpointTensor& tensor) {
  return std::make_shared<TransposedElements>(tensor.reader, static_cast<size_t>(tensor.dims.at(0)),
                                              static_cast<size_t>(tensor.dims.at(1)));
}

// The tensor under another name, in the shape from which `transform` made it.
OutputTensor output_tensor(const Source& source, const PartTensor& tensor, std::string_view component,
                           const TensorTypes& types) {
  OutputTensor out{
      {source.name, DType::f32, untransformed(source.transform, tensor.dims)}, {}, tensor.values.dtype, tensor.origin};
  types.set(out.spec, component, tensor.stored, tensor.is_changed, tensor.origin);
  out.readers.push_back(source.transform == Transform::transpose ? transposed(tensor.values) : tensor.values.reader);
  return out;
}

// Adds a third of a tensor, at its place. Thirds of different types are written in a type that has all their values.
void add_third(OutputTensor& whole, Transform transform, OutputTensor third) {
  whole.readers.resize(3);
  whole.readers.at(static_cast<size_t>(transform) - static_cast<size_t>(Transform::third_0)) =
      std::move(third.readers.at(0));
  if (whole.spec.dtype != third.spec.dtype) whole.spec.dtype = DType::f32;
  if (whole.read_as != third.read_as) whole.read_as = DType::f32;
}

bool is_third(Transform transform) {
  return transform >= Transform::third_0 && transform <= Transform::third_2;
}

std::string without_prefix(std::string_view name, std::string_view prefix) {
  return std::string(name.starts_with(prefix) ? name.substr(prefix.size()) : name);
}

LdmLayout layout_of(const ConvertedModel& model) {
  ModelConfig config = model.config.value_or(sdxl_base());
  for (const ConvertedPart& part : model.parts)
    if (component_kind(part.component).in_models()) component_kind(part.component).set(config, part.config);
  return ldm_layout(config);
}
}  // namespace

std::vector<OutputTensor> diffusers_tensors(const ConvertedPart& part, const TensorTypes& types) {
  std::vector<OutputTensor> out;
  for (const PartTensor& tensor : tensors_of(part))
    out.push_back(output_tensor({tensor.name, Transform::none}, tensor, part.component, types));
  return out;
}

std::vector<OutputTensor> single_file_tensors(const ConvertedModel& model, const TensorTypes& types, OutputKind kind) {
  const LdmNames names(layout_of(model));
  std::map<std::string, OutputTensor> tensors;
  for (const ConvertedPart& part : model.parts) {
    if (part.component == kTinyVaeFolder) {  // single files of models have none
      if (!model.config)
        for (OutputTensor& tensor : diffusers_tensors(part, types))
          tensors.emplace(tensor.spec.name, std::move(tensor));
      continue;
    }
    for (const PartTensor& tensor : tensors_of(part)) {
      std::optional<Source> source = names.ldm_name(part.component, tensor.name);
      if (!source) fail(ErrorCode::bad_file, "the tensor {} has no name in single files: give a folder", tensor.origin);
      if (!model.config && part.component == kVae) source->name = without_prefix(source->name, kVaePrefix);
      OutputTensor out = output_tensor(*source, tensor, part.component, types);
      OutputTensor& whole = tensors.try_emplace(source->name, out).first->second;
      if (is_third(source->transform)) add_third(whole, source->transform, std::move(out));
    }
  }
  if (model.find(kUnet) != nullptr)
    for (OutputTensor& mark : sampling_marks(model, kind)) tensors.emplace(mark.spec.name, std::move(mark));
  std::vector<OutputTensor> list;
  list.reserve(tensors.size());
  for (auto& [name, tensor] : tensors) list.push_back(std::move(tensor));
  return list;
}

std::map<std::string, std::string> output_metadata(const ConvertedModel& model, bool single_file) {
  std::map<std::string, std::string> metadata = model.metadata;
  // Hashes of other bytes.
  for (const char* key : {"modelspec.hash_sha256", "sshs_model_hash", "sshs_legacy_hash"}) metadata.erase(key);
  metadata["format"] = "pt";
  if (model.find(kUnet) == nullptr) return metadata;
  if (const std::string prediction = prediction_mark(model); !prediction.empty())
    metadata["modelspec.prediction_type"] = prediction;
  if (!single_file || !model.config) return metadata;
  metadata.try_emplace("modelspec.sai_model_spec", "1.0.0");
  metadata.try_emplace("modelspec.implementation", "https://github.com/Stability-AI/generative-models");
  const auto same_unet = [&](const ModelConfig& known) {
    return known.unet.down == model.config->unet.down && known.unet.in_channels == model.config->unet.in_channels;
  };
  if (same_unet(sdxl_base())) metadata.try_emplace("modelspec.architecture", "stable-diffusion-xl-v1-base");
  if (same_unet(sdxl_refiner())) metadata.try_emplace("modelspec.architecture", "stable-diffusion-xl-v1-refiner");
  return metadata;
}

}  // namespace tempera
