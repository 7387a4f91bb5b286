// One evaluation of the sampler for several pictures in one batch. Each has its own request, sampler, step and
// generator. All values that vary per picture and step are written into the program's inputs. The program never
// changes.
#pragma once

#include <span>
#include <vector>

#include "pipeline/picture.h"
#include "runtime/executable.h"

namespace tempera {

// The batch of a denoising program.
struct Batch {
  int images = 1, guided = 1, slots = 1;  // pictures; the first ones have guidance; slots of sampler state per picture
  bool two_passes = false;                // DenoiseGraphOptions
  bool guidance_rescale = false, thresholding = false, blend = false;
  bool operator==(const Batch&) const = default;
};

class Forward {
 public:
  // `executable` is bound for a denoising step of that batch. It and the other arguments must outlive the forward.
  Forward(Executable& executable, const Batch& batch, Backend& backend, Queue& queue);
  ~Forward();
  Forward(const Forward&) = delete;
  Forward& operator=(const Forward&) = delete;

  // Runs one evaluation for these pictures, those with guidance first. None of them may be finished. If the batch had
  // other pictures before, those are parked. The work is enqueued, and the pictures' positions are advanced. If it
  // throws, the states of these pictures are lost.
  void step(std::span<Picture* const> pictures, const CheckCancelled& check);

  // Copies the states of the pictures in the batch back to their own memory.
  void park();
  // Copies the state of a picture in the batch to `to`. The batch does not change.
  void save(const Picture& picture);
  // Marks the states of the pictures in the batch as lost.
  void lose();

  const Executable& executable() const { return executable_; }

 private:
  void take_in(std::span<Picture* const> pictures);
  void write_mask_input(const Picture& picture, const IoSlot& slot, size_t row);
  void write_conditions();
  void write_step();
  void draw_noise();
  std::byte* state_of(size_t picture) const;

  Executable& executable_;
  Batch batch_;
  Backend& backend_;
  Queue& queue_;
  std::vector<Picture*> pictures_;  // in the batch
  bool conditions_written_ = false;
  bool embeds_guidance_ = false;          // the guidance scale is an input of the UNet
  std::vector<float> timesteps_, steps_;  // (N, 1) and (N, StepLayout::length)
};

}  // namespace tempera
