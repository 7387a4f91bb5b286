// For tests only: parameters of a small model, and adapter files in memory.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "adapters/adapter_names.h"
#include "weights/made.h"

namespace tempera::test {

// Some parameters of SDXL's shape, with both spellings.
inline std::vector<ModelParameter> some_parameters() {
  std::vector<ModelParameter> all;
  const auto add = [&](std::string component, std::string name, std::string ldm, std::vector<int64_t> dims) {
    all.push_back({std::move(component), std::move(name), std::move(ldm), std::move(dims)});
  };
  const auto unet = [&](const std::string& name, const std::string& ldm, std::vector<int64_t> dims) {
    add("unet", name + ".bias", ldm + ".bias", {dims[0]});
    add("unet", name + ".weight", ldm + ".weight", std::move(dims));
  };
  const std::string block = "down_blocks.1.attentions.0.transformer_blocks.0.",
                    ldm = "input_blocks.4.1.transformer_blocks.0.";
  unet("conv_in", "input_blocks.0.0", {8, 4, 3, 3});
  unet("time_embedding.linear_1", "time_embed.0", {8, 8});
  unet(block + "attn1.to_out.0", ldm + "attn1.to_out.0", {8, 8});
  add("unet", block + "attn1.to_q.weight", ldm + "attn1.to_q.weight", {8, 8});
  unet(block + "norm1", ldm + "norm1", {8});
  unet("mid_block.attentions.0.proj_in", "middle_block.1.proj_in", {8, 8});
  for (const char* encoder : {"text_encoder", "text_encoder_2"}) {
    const std::string layer = "text_model.encoder.layers.0.self_attn.";
    for (const char* name : {"out_proj", "q_proj"}) {
      add(encoder, layer + name + ".bias", "", {8});
      add(encoder, layer + name + ".weight", "", {8, 8});
    }
  }
  add("text_encoder_2", "text_projection.weight", "", {8, 8});
  return all;
}

// Every element is `value`.
inline CheckpointTensor filled(std::vector<int64_t> dims, float value = 0.5f) {
  CheckpointTensor tensor;
  tensor.dims = std::move(dims);
  const auto values = std::make_shared<std::vector<float>>(static_cast<size_t>(tensor.elements()), value);
  tensor.reader = std::make_shared<StoredElements>(DType::f32, std::as_bytes(std::span(*values)), values);
  return tensor;
}

inline MadeCheckpoint adapter_of(const std::vector<std::pair<std::string, std::vector<int64_t>>>& tensors,
                                 MadeCheckpoint::Metadata metadata = {}) {
  MadeCheckpoint::Tensors all;
  for (const auto& [name, dims] : tensors) all.emplace(name, filled(dims));
  return MadeCheckpoint(std::move(all), "the test", std::move(metadata));
}

}  // namespace tempera::test
