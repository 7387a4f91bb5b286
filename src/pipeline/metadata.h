// A picture's settings as text, in the form that image sites and user interfaces read ("parameters").
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "pipeline/resolve.h"
#include "pipeline/tiling.h"
#include "source/model_source.h"

namespace tempera {

// A file that the request reads, in the text: its name without a folder, and the SHA-256 of its content.
struct RecordedInput {
  std::string_view field;  // "init_image", "mask_image", "latents"
  std::string name, sha256;
};

// `inputs`: those of this picture. `engine` names the tiny autoencoder, if one decoded, and else that which replaces
// the model's. `tiles`: the tiles of the decoder.
std::string parameters_text(const ResolvedRequest& request, const EngineOptions& engine, const ModelSource& source,
                            const TileGrid& tiles, uint64_t seed, std::span<const RecordedInput> inputs = {});

}  // namespace tempera
