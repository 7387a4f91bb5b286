// The tensors of a file that is written: their names, shapes and types, and the readers of their elements.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "convert/model.h"
#include "convert/tensor_types.h"
#include "weights/gguf_writer.h"

namespace tempera {

struct OutputTensor {
  GgufSpec spec;
  // All elements in row-major order: the elements of one reader follow those of the one before. Several have equally
  // many elements (q, k and v of OpenCLIP in one tensor).
  std::vector<std::shared_ptr<const ElementReader>> readers;
  DType read_as = DType::f32;  // a type in which the readers give the elements exactly
  std::string origin;          // for messages
};

// A component in a diffusers folder, sorted by name. Throws Error(bad_file) for a tensor that is missing or has another
// shape than the configuration, and as TensorTypes::set.
std::vector<OutputTensor> diffusers_tensors(const ConvertedPart& part, const TensorTypes& types);

// All components that single files have, under original names and sorted by them, with the marks of the sampling
// (source/marks.h). An autoencoder alone has no prefix, as published ones, and a tiny one diffusers' names. Throws as
// diffusers_tensors.
std::vector<OutputTensor> single_file_tensors(const ConvertedModel& model, const TensorTypes& types, OutputKind kind);

// __metadata__ of the file of the UNet, or of a component alone: that of the source without hashes, and the keys of
// modelspec that are known. `single_file`: under original names.
std::map<std::string, std::string> output_metadata(const ConvertedModel& model, bool single_file);

}  // namespace tempera
