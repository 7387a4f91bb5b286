// A picture during denoising: its generator, its position and the latents of its sampler. It is parked when its state
// is in its own memory. While the batch stays the same, the state is in the memory of a forward.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "backend/backend.h"
#include "pipeline/conditioning.h"
#include "pipeline/resolve.h"
#include "sampling/rng.h"

namespace tempera {

// The next draws of torch.randn((1, C, h, w)) of one picture, as (h, w, C).
class PictureNoise {
 public:
  PictureNoise(Rng rng, uint64_t seed, int channels, size_t pixels);

  // Writes the next draw times `scale` to device memory. The device computes it if it can.
  void draw(Backend& backend, Queue& queue, std::byte* to, float scale);

 private:
  size_t channels_, pixels_;
  std::optional<PhiloxStream> counters_;  // if the device draws
  std::unique_ptr<Generator> generator_;
  std::vector<float> planar_, values_;
};

class Forward;

struct Picture {
  const ResolvedRequest* request = nullptr;      // outlives the picture
  const PromptEmbeddings* embeddings = nullptr;  // outlives the picture
  std::optional<PictureNoise> noise = {};        // since the first step
  size_t position = 0;                           // completed evaluations
  std::byte* state = nullptr;                    // its own memory, if it is parked: (slots, h, w, C) f32
  Forward* inside = nullptr;                     // the forward with its state, unless it is parked
  bool lost = false;                             // a step failed
  // Device memory with the picture's rows of the inputs "original", "start_noise", "mask" and "inpaint_condition" of
  // its denoising program (denoise_graph), by name; outlives the picture.
  std::map<std::string, const std::byte*, std::less<>> mask_inputs = {};

  bool guided() const { return request->guidance; }
  int slots() const { return request->schedule.slots; }
  bool finished() const { return position == request->schedule.evaluations.size(); }
};

}  // namespace tempera
