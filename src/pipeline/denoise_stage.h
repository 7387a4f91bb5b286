// The denoising loop: noise, conditioning and schedule in, latents out. Everything that varies per step is written into
// the program's inputs; the program itself never changes.
#pragma once

#include "pipeline/conditioning.h"
#include "runtime/executable.h"
#include "sampling/rng.h"

namespace tempera {

struct DenoiseJob {
  uint64_t seed = 0;  // of the first picture of this forward
  int images = 1;
  int channels = 4;
  bool two_passes = false;  // DenoiseGraphOptions
};

// Latents (images, h, w, C) as the UNet leaves them. on_step(done) after each evaluation.
std::vector<float> denoise(Executable& unet, const ResolvedRequest& request, const Conditioning& conditioning,
                           const DenoiseJob& job, const std::function<void(size_t done)>& on_step,
                           const CheckCancelled& check);

// What the decoder takes: z / scaling_factor, or z std / scaling_factor + mean where the model has those.
void unscale_latents(std::vector<float>& latents, const VaeConfig& vae);
void unscale_latents(std::vector<float>& latents, const TinyVaeConfig& vae);

}  // namespace tempera
