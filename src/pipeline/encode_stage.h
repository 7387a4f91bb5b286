// The encoder on a device: from the pixels of one picture to the moments of its latents, in tiles if the stage has
// them.
#pragma once

#include <functional>
#include <span>
#include <vector>

#include "pipeline/decoder_tiles.h"
#include "runtime/executable.h"

namespace tempera {

// `programs`: those of the stage, loaded. `picture`: (H, W, C) f32 in [-1, 1] on the host, of the size of the grid. The
// result is (h, w, 2C): mean and logarithm of the variance; or (h, w, C), the latents, with a tiny autoencoder. Calls
// on_tile(done, of) after each tile.
std::vector<float> encode(const Tiles& tiles, std::span<Executable* const> programs, std::span<const float> picture,
                          const CheckCancelled& check, const std::function<void(size_t done, size_t of)>& on_tile);

}  // namespace tempera
