// The autoencoders between pictures and latents: AutoencoderKL (Rombach et al. 2022) and the tiny one, TAESD
// (diffusers AutoencoderTiny).
#pragma once

#include "ir/graph.h"
#include "models/config.h"

namespace tempera {

enum class PixelFormat : uint8_t {
  float32,  // (N, H, W, 3) f32 in about [-1, 1]
  rgb8,     // (N, H, W, 3) u8
};

struct VaeGraphOptions {
  int batch = 1;
  int height = 128, width = 128;  // of the latent
  DType dtype = DType::f32;
  PixelFormat pixels = PixelFormat::rgb8;  // of decoders
};

// Input "latent" (N, h, w, C) f32, in the form of the UNet's output. Output "image".
Graph vae_decoder_graph(const VaeConfig& config, const VaeGraphOptions& options);
// Input "image" (N, 8h, 8w, 3) f32 in [-1, 1]. Output "moments" (N, h, w, 2C) f32: mean and log variance.
Graph vae_encoder_graph(const VaeConfig& config, const VaeGraphOptions& options);

// Input and output as above.
Graph tiny_vae_decoder_graph(const TinyVaeConfig& config, const VaeGraphOptions& options);
// Input "image" as above. Output "latent" (N, h, w, C) f32.
Graph tiny_vae_encoder_graph(const TinyVaeConfig& config, const VaeGraphOptions& options);

}  // namespace tempera
