// The decoder on a device: from the latent of one picture to bytes, in tiles if the stage has them.
#pragma once

#include <functional>
#include <span>
#include <vector>

#include "pipeline/decoder_tiles.h"
#include "runtime/executable.h"

namespace tempera {

// `programs`: those of the stage, loaded. `latent` is device memory, (h, w, C) f32, with the result of the sampler. The
// result is (height, width, 3). Calls on_tile(done, of) after each tile.
std::vector<uint8_t> decode(const Tiles& tiles, std::span<Executable* const> programs, const std::byte* latent,
                            const CheckCancelled& check, const std::function<void(size_t done, size_t of)>& on_tile);

}  // namespace tempera
