// Latents of pictures in a safetensors file: a tensor "latents" (N, C, h, w) or (C, h, w) in f32, f16 or bf16, as
// diffusers' output_type "latent" and its argument latents have them.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "models/config.h"

namespace tempera {

struct LatentsFile {
  int width = 0, height = 0;                 // of the latents
  std::vector<std::vector<float>> pictures;  // (h, w, C) each
  std::string sha256 = {};                   // of the file
};

// All pictures, or only number `index`. Throws Error(bad_file) with the file and the remedy when the tensor is missing,
// has another number of channels than the model, is too large, or has a value that is not a number;
// Error(invalid_argument) if there is no picture of this number.
LatentsFile read_latents(const std::filesystem::path& path, std::optional<int> index, const VaeConfig& vae);

}  // namespace tempera
