// The loops of a request: each is one loop over a schedule, with one UNet at one size. A request for pictures from
// text has one. A second pass at a larger size, and a refiner, are further loops, in this order.
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

// The latents at the beginning of a loop.
enum class LoopStart : uint8_t {
  noise,    // noise alone, times the sampler's init_noise_sigma
  picture,  // those of a picture, with noise for the first evaluation (diffusers add_noise)
  latents,  // those that another loop or another program left, as they are
};

struct Loop {
  bool refiner = false;       // the UNet: that of the model, or that of EngineOptions::refiner
  bool enlarges = false;      // its first latents are those of the loop before it, enlarged (hires_upscaler)
  int width = 0, height = 0;  // pixels
  int latent_width = 0, latent_height = 0;
  LoopStart start = LoopStart::noise;
  bool reads_mask = false;             // mask and masked picture are inputs of the UNet, which has 9 channels
  Blending blending = Blending::none;  // of a mask that the UNet does not read
  BlendRange blend_range = {};
  Schedule schedule = {};
  bool guidance = true;  // both branches are computed; never with a UNet that embeds the guidance scale
  bool guidance_rescale = false;
  bool zero_negative = false;  // the negative row is zeros: no negative prompt was given, and the model needs this

  // Whether the first loop needs the latents of the picture that it starts from.
  bool reads_picture() const { return start != LoopStart::noise || blending != Blending::none; }
};

// The inputs of a request that are known before its loops are made.
struct LoopInputs {
  const ModelConfig* model = nullptr;    // never null
  const ModelConfig* refiner = nullptr;  // of EngineOptions::refiner
  bool picture = false;                  // it starts from a picture or its latents
  bool mask = false;
  int width = 0, height = 0;  // of the first loop, in pixels
};

// Of a request whose steps, guidance and strength (for a picture) are set. Throws Error(invalid_argument) with the
// fields for a part of the schedule that has no step, and for fields that contradict each other.
std::vector<Loop> make_loops(const Request& request, const LoopInputs& inputs, const SchedulerConfig& scheduler,
                             const ScheduleOptions& options);

}  // namespace tempera
