// For tests only: files with the names of tensors by which their kinds are known, and trees of them.
#pragma once

#include <filesystem>
#include <string>

#include "source/test_models.h"

namespace tempera {

inline void write_checkpoint(const std::filesystem::path& path) {
  write_zeros(path, {{"conditioner.embedders.1.model.transformer.x", DType::f16, {1}},
                     {"first_stage_model.x", DType::f16, {1}},
                     {"model.diffusion_model.input_blocks.0.0.weight", DType::f16, {4, 4, 1, 1}}});
}
inline void write_unet(const std::filesystem::path& path) {
  write_zeros(path, {{"model.diffusion_model.label_emb.0.0.weight", DType::f16, {1}},
                     {"model.diffusion_model.time_embed.0.weight", DType::f16, {4, 4}}});
}
inline void write_vae(const std::filesystem::path& path) {
  write_zeros(path, {{"decoder.up.0.block.0.conv1.weight", DType::f32, {1}}});
}
inline void write_tiny_vae(const std::filesystem::path& path) {
  write_zeros(path, {{"taesd_decoder.1.weight", DType::f16, {1}}});
}
inline void write_lora(const std::filesystem::path& path) {
  write_zeros(path, {{"lora_te2_x.lora_down.weight", DType::f16, {1, 1}}});
}
inline void write_embedding(const std::filesystem::path& path) {
  write_zeros(path, {{"clip_g", DType::f16, {1, 1}}, {"clip_l", DType::f16, {1, 1}}});
}
inline void write_controlnet(const std::filesystem::path& path) {
  write_zeros(path, {{"add_embedding.linear_1.weight", DType::f16, {1}},
                     {"controlnet_cond_embedding.conv_in.weight", DType::f16, {1}}});
}

}  // namespace tempera
