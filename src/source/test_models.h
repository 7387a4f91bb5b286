// For tests only: small models of zeros, under the names of diffusers or of a single file.
#pragma once

#include <fmt/format.h>

#include <cstddef>
#include <filesystem>
#include <map>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "models/components.h"
#include "source/ldm_config.h"
#include "weights/naming.h"
#include "weights/safetensors_writer.h"

namespace tempera {

using Tensors = std::vector<TensorSpec>;

// Heads are 64 wide and what shapes do not say is as in SDXL, so a single file says everything about it.
inline ModelConfig small_model() {
  ModelConfig model = preset("small");
  for (ClipConfig* clip : {&*model.text_encoder, &model.text_encoder_2}) {
    clip->vocab_size = 500;
    clip->eos_token_id = 499;
    clip->hidden_size = 64;
    clip->intermediate_size = 96;
    clip->num_attention_heads = 1;
    clip->num_hidden_layers = 2;
  }
  model.text_encoder->num_hidden_layers = 3;
  model.text_encoder_2.projection_dim = 64;
  for (size_t i = 0; i < 3; ++i) {
    model.unet.down[i].channels = model.unet.up[2 - i].channels = i == 2 ? 128 : 64;
    if (i > 0) model.unet.down[i].heads = model.unet.up[2 - i].heads = i == 2 ? 2 : 1;
  }
  model.unet.mid.heads = 2;
  model.unet.time_embedding_dim = 256;
  model.unet.cross_attention_dim = 128;
  model.unet.projection_class_embeddings_input_dim = 64 + 6 * 256;
  model.unet.sample_size = 128;
  model.vae.block_out_channels = {32, 32, 64, 32};
  model.vae.sample_size = 1024;
  return model;
}

inline Tensors tensors_of(const ComponentConfig& config) {
  Tensors tensors;
  for (const Parameter& parameter : parameters_of(config)) {
    const auto dims = parameter.shape.dims();
    tensors.push_back({parameter.name, DType::f16, {dims.begin(), dims.end()}});
  }
  return tensors;
}

inline std::vector<std::pair<std::string_view, Tensors>> model_tensors(const ModelConfig& model) {
  std::vector<std::pair<std::string_view, Tensors>> all;
  for (const auto& [component, config] : component_configs(model)) all.emplace_back(component, tensors_of(config));
  return all;
}

inline Tensors single_file_tensors(const ModelConfig& model) {
  const LdmNames names(ldm_layout(model));
  std::map<std::string, TensorSpec> tensors;  // three may be thirds of one
  for (const auto& [component, parts] : model_tensors(model)) {
    for (const TensorSpec& part : parts) {
      const auto source = names.ldm_name(component, part.name);
      if (!source) throw std::logic_error(part.name);
      tensors.try_emplace(source->name,
                          TensorSpec{source->name, part.dtype, untransformed(source->transform, part.dims)});
    }
  }
  Tensors list;
  for (const auto& [name, tensor] : tensors) list.push_back(tensor);
  return list;
}

inline void write_zeros(const std::filesystem::path& path, const Tensors& tensors) {
  std::filesystem::create_directories(path.parent_path());
  SafetensorsWriter writer(path, tensors);
  for (const TensorSpec& tensor : tensors) writer.append(std::vector<std::byte>(tensor.bytes()));
  writer.commit();
}

}  // namespace tempera
