// From the moments of an encoder to the latents of the UNet.
#pragma once

#include <span>
#include <vector>

#include "models/config.h"

namespace tempera {

// mean + exp(clamp(logvar, -30, 20) / 2) noise: a sample of the distribution that an encoder returns (Kingma and
// Welling 2014; diffusers DiagonalGaussianDistribution.sample). moments: (h, w, 2C), the means and then the logarithms
// of the variances of each pixel. noise: (h, w, C), standard normal. Returns (h, w, C).
std::vector<float> sample_posterior(std::span<const float> moments, std::span<const float> noise, int channels);

// Makes (h, w, C) latents of the encoder those of the UNet: (z - latents_mean) scaling_factor / latents_std by channel,
// or z scaling_factor if the model has no mean and deviation, or if `normalize` is false (diffusers
// StableDiffusionXLImg2ImgPipeline normalizes, StableDiffusionXLInpaintPipeline does not).
void scale_latents(std::span<float> latents, const VaeConfig& vae, bool normalize);
// Of a tiny autoencoder: z scaling_factor.
void scale_latents(std::span<float> latents, const TinyVaeConfig& vae);

}  // namespace tempera
