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

// The place of a schedule between others with the same mask: a refiner continues what a base model began.
struct BlendRange {
  size_t before = 0, after = 0;          // evaluations
  double end_signal = 1, end_noise = 0;  // of the first evaluation that follows; without one: no noise
};

// For the end of evaluation `position` of a schedule. The original is at the noise level of the next evaluation
// (diffusers StableDiffusionXLInpaintPipeline). With `soft`, a pixel of grey g is free after evaluation i of n if g >=
// 1
// - i / n, counted over the whole range; black is never free.
BlendStep blend_step(Blending blending, const Schedule& schedule, size_t position, const BlendRange& range = {});

}  // namespace tempera
