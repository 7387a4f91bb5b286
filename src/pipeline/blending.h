// The coefficients of the op blend_mask: inpainting with a UNet that does not read a mask.
#pragma once

#include "sampling/schedule.h"

namespace tempera {

enum class Blending : uint8_t {
  none,  // no mask, or a UNet that reads it
  hard,  // masks of 0 and 1: white pixels are free in all steps
  soft,  // the grey of a pixel decides from which step on it is free (Levin and Fried 2023, differential diffusion)
};

struct BlendStep {
  double threshold = 0;          // pixels whose mask is below it are not free; 0: all are free
  double signal = 1, noise = 0;  // of the original latents and the noise of their start
};

// For the end of evaluation `position` of a schedule. The original is at the noise level of the next evaluation, and
// without noise after the last one (diffusers StableDiffusionXLInpaintPipeline). With `soft`, a pixel of grey g is free
// after evaluation i of n if g >= 1 - i / n; black is never free.
BlendStep blend_step(Blending blending, const Schedule& schedule, size_t position);

}  // namespace tempera
