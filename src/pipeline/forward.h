// One evaluation of the sampler for several pictures in one batch, each with its own request, sampler, step and
// generator. Everything that varies per picture and step is written into the program's inputs; the program itself never
// changes.
#pragma once

#include <span>
#include <vector>

#include "pipeline/picture.h"
#include "runtime/executable.h"

namespace tempera {

// The batch that a denoising program takes.
struct Batch {
  int images = 1, guided = 1, slots = 1;  // pictures; the first ones with guidance; slots of sampler state of each
  bool two_passes = false;                // DenoiseGraphOptions
  bool guidance_rescale = false;
  bool operator==(const Batch&) const = default;
};

class Forward {
 public:
  // `executable` is bound for a denoising step of that batch; it and the rest must outlive the forward.
  Forward(Executable& executable, const Batch& batch, Backend& backend, Queue& queue);
  ~Forward();
  Forward(const Forward&) = delete;
  Forward& operator=(const Forward&) = delete;

  // Runs one evaluation for these pictures, those with guidance first, none of them finished. The pictures that were in
  // the batch before are parked when they are others. The work is enqueued; the pictures' positions are those after it.
  // When it throws, the states of these pictures are lost.
  void step(std::span<Picture* const> pictures, const CheckCancelled& check);

  // Brings the states of the pictures in the batch back to memory of their own.
  void park();
  // Copies the state of a picture in the batch there; the batch stays as it is.
  void save(const Picture& picture);
  // The states of the pictures in the batch are lost.
  void lose();

  const Executable& executable() const { return executable_; }

 private:
  void take_in(std::span<Picture* const> pictures);
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
  std::vector<float> timesteps_, steps_;  // (N, 1) and (N, StepLayout::length)
};

}  // namespace tempera
