// A picture's settings as text, in the form that image sites and user interfaces read ("parameters").
#pragma once

#include <string>

#include "pipeline/resolve.h"
#include "pipeline/tiling.h"
#include "source/model_source.h"

namespace tempera {

// `engine` names the tiny autoencoder, if one decoded, and else that which replaces the model's. `tiles`: the tiles of
// the decoder.
std::string parameters_text(const ResolvedRequest& request, const EngineOptions& engine, const ModelSource& source,
                            const TileGrid& tiles, uint64_t seed);

}  // namespace tempera
