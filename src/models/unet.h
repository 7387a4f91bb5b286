// The denoising network of SDXL (Podell et al. 2023; diffusers UNet2DConditionModel), alone and as a complete denoising
// step.
#pragma once

#include "ir/graph.h"
#include "models/config.h"

namespace tempera {

struct UnetGraphOptions {
  int batch = 2;
  int height = 128, width = 128;  // of the latent
  int tokens = 77;
  int micro_conditions = 6;
  DType dtype = DType::f32;
};

// Inputs "sample" (N, h, w, C) and "timestep" (1, 1) per step; "encoder_hidden_states" (N, T, X), "text_embeds" (N, P)
// and "time_ids" (N, 6 or 5), all f32; with time_cond_proj_dim also "guidance" (N, 1): (guidance scale - 1) 1000.
// Output "sample" (N, h, w, C) f32.
Graph unet_graph(const UnetConfig& config, const UnetGraphOptions& options);

struct DenoiseGraphOptions {
  int images = 1;
  // The number of images with guidance, 0 to images. They are first. Both branches are one batch: [negative rows of the
  // guided images..., positive rows of all images...].
  int guided = 1;
  // Computes one branch after the other: half the activations, but every parameter is read twice. The negative branch
  // then has its own inputs, "negative_encoder_hidden_states" and so on, with `images` rows like the others. `guided`
  // must be images, or 0, where it changes nothing.
  bool two_passes = false;
  bool guidance_rescale = false;  // for the images with a value in their step
  bool thresholding = false;      // for the images with a slot in their step
  bool blend = false;             // BlendMask, for the images with a threshold in their step
  int slots = 1;                  // of the sampler's state: the maximum over the images
  UnetGraphOptions unet = {};     // batch is set from images and guided
};

// One evaluation of the samplers: scale the input, predict, guide, threshold, update, blend. Inputs per step: "state"
// (images, slots h, w, C) in the layout of SamplerUpdate, "noise" (images, h, w, C), "timestep" (images, 1), "step"
// (images, L; see StepLayout). Other inputs: the conditioning of unet_graph; with blend "original" and "start_noise"
// (images, h, w, C) and "mask" (images, h, w, 1), all f32; with a UNet that reads a mask "inpaint_condition" (images,
// h, w, 1 + C) f32, the mask and the latents of the masked picture (diffusers StableDiffusionXLInpaintPipeline for
// UNets of 9 channels). Output "state", written over the input of that name.
Graph denoise_graph(const UnetConfig& config, const DenoiseGraphOptions& options);

}  // namespace tempera
