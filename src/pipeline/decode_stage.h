// The decoder on a device: the latent of one picture in, bytes out, in tiles where the programs say so. Weights that
// several shapes of tile want packed alike are loaded once, and stay for the next request.
#pragma once

#include <deque>
#include <functional>
#include <vector>

#include "pipeline/decoder_programs.h"
#include "runtime/executable.h"

namespace tempera {

class DecodeStage {
 public:
  // Binds the programs and loads what is not loaded yet. `programs` and the rest must outlive the stage or the next
  // call.
  void load(const DecoderPrograms& programs, Backend& backend, Queue& queue, Buffer& scratch, bool replay,
            const Checkpoint& weights, const CheckCancelled& check);

  // Lets go of the scratch memory; the weights stay.
  void unbind();
  // Before others use the scratch memory.
  void leave();
  void watch(StepWatcher* watcher);

  // `latent` is device memory, (h, w, C) as the UNet leaves it. The result is (height, width, 3). on_tile(done, of)
  // after each tile.
  std::vector<uint8_t> decode(const std::byte* latent, const CheckCancelled& check,
                              const std::function<void(size_t done, size_t of)>& on_tile);

 private:
  Executable& enter(size_t index);
  std::vector<uint8_t> decode_whole(const std::byte* latent, const CheckCancelled& check);

  const DecoderPrograms* programs_ = nullptr;
  std::deque<Executable> shapes_;
  Executable* inside_ = nullptr;  // of shapes_: the last that ran since all were left
  std::vector<LoadedWeights> packings_;
};

}  // namespace tempera
