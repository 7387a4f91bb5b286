// The decoder on a device: the latent of one picture in, bytes out, in tiles where the stage says so.
#pragma once

#include <functional>
#include <span>
#include <vector>

#include "pipeline/decoder_tiles.h"
#include "runtime/executable.h"

namespace tempera {

// `programs`: the stage's, loaded. `latent` is device memory, (h, w, C) f32 as the sampler leaves it. The result is
// (height, width, 3). on_tile(done, of) after each tile.
std::vector<uint8_t> decode(const Tiles& tiles, std::span<Executable* const> programs, const std::byte* latent,
                            const CheckCancelled& check, const std::function<void(size_t done, size_t of)>& on_tile);

}  // namespace tempera
