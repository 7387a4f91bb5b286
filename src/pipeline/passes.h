// The passes of a request: each is one loop over a schedule, with one UNet at one size. A request for pictures from
// text has one. A second pass at a larger size, and a refiner, are further passes, in this order.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "models/config.h"
#include "pipeline/blending.h"
#include "sampling/config.h"
#include "sampling/schedule.h"
#include "tempera/request.h"

namespace tempera {

// The value of hires_upscaler that enlarges the decoded picture instead of the latents.
inline constexpr std::string_view kLanczos = "lanczos";

// The latents at the beginning of a pass.
enum class PassStart : uint8_t {
  noise,    // noise alone, times the sampler's init_noise_sigma
  picture,  // those of a picture, with noise for the first evaluation (diffusers add_noise)
  latents,  // those that another pass or another program left, as they are
};

struct Pass {
  bool refiner = false;           // the UNet: that of the model, or that of EngineOptions::refiner
  bool enlarges = false;          // its first latents are those of the pass before it, enlarged (hires_upscaler)
  int width = 0, height = 0;      // pixels
  int latent_width = 0, latent_height = 0;
  PassStart start = PassStart::noise;
  bool reads_mask = false;              // mask and masked picture are inputs of the UNet, which has 9 channels
  Blending blending = Blending::none;   // of a mask that the UNet does not read
  size_t before = 0;                    // evaluations of earlier passes with the same mask
  Schedule schedule = {};
  bool guidance = true;  // both branches are computed; never with a UNet that embeds the guidance scale
  bool guidance_rescale = false;
  bool zero_negative = false;  // the negative row is zeros: no negative prompt was given, and the model needs this

  // Whether the first pass needs the latents of the picture that it starts from.
  bool reads_picture() const { return start != PassStart::noise || blending != Blending::none; }
};

// The inputs of a request that are known before its passes are made.
struct PassInputs {
  const ModelConfig* model = nullptr;    // never null
  const ModelConfig* refiner = nullptr;  // of EngineOptions::refiner
  bool picture = false;                  // it starts from a picture or its latents
  bool mask = false;
  int width = 0, height = 0;  // of the first pass, in pixels
};

// Of a request whose steps and guidance are set. Throws Error(invalid_argument) with the fields for a part of the
// schedule that has no step, and for fields that contradict each other.
std::vector<Pass> make_passes(const Request& request, const PassInputs& inputs, const SchedulerConfig& scheduler,
                              const ScheduleOptions& options);

}  // namespace tempera
