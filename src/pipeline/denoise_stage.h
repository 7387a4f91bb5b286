// The denoising loop: noise, conditioning and schedule in, latents out. Everything that varies per step is written into
// the program's inputs; the program itself never changes.
#pragma once

#include "pipeline/conditioning.h"
#include "runtime/executable.h"

namespace tempera {

struct DenoiseJob {
  uint64_t seed = 0;  // of the first picture of this forward
  int images = 1;
  int channels = 4;
  bool two_passes = false;  // DenoiseGraphOptions
};

// Latents (images, h, w, C) as the UNet leaves them, into device memory; they are there when the queue has come so far.
// on_step(done) after each evaluation was enqueued.
void denoise(Executable& unet, const ResolvedRequest& request, const Conditioning& conditioning, const DenoiseJob& job,
             std::byte* latents, const std::function<void(size_t done)>& on_step, const CheckCancelled& check);

}  // namespace tempera
