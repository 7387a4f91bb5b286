// A picture on its way through the schedule: its generator, its position and the latents that its sampler remembers. It
// is parked when its state is in memory of its own; a forward takes it in for as long as its neighbours stay the same.
#pragma once

#include <cstdint>
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

  // Writes the next draw times `scale` to device memory: made by the device where it makes such numbers.
  void draw(Backend& backend, Queue& queue, std::byte* to, float scale);

 private:
  size_t channels_, pixels_;
  std::optional<PhiloxStream> counters_;  // while the device makes numbers of them
  std::unique_ptr<Generator> generator_;
  std::vector<float> planar_, values_;
};

class Forward;

struct Picture {
  const ResolvedRequest* request = nullptr;      // outlives the picture
  const PromptEmbeddings* embeddings = nullptr;  // likewise
  std::optional<PictureNoise> noise = {};        // from the first step on
  size_t position = 0;                           // evaluations that are done
  std::byte* state = nullptr;                    // of its own, where it is parked: (slots, h, w, C) f32
  Forward* inside = nullptr;                     // where its state is, unless it is parked
  bool lost = false;                             // a step failed half-way

  bool guided() const { return request->guidance; }
  int slots() const { return request->schedule.slots; }
  bool finished() const { return position == request->schedule.evaluations.size(); }
};

}  // namespace tempera
