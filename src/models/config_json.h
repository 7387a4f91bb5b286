// config.json of diffusers and transformers -> the plain data of models/config.h. Keys that change nothing here are
// ignored; a value that would change the arithmetic into something the graphs do not compute is refused by name.
#pragma once

#include <string_view>

#include "models/config.h"

namespace tempera {

// All: `text` is the whole file, `what` its path for messages. Throw Error(bad_file, "'<what>': ...") in one sentence
// naming key and value, for malformed JSON, a missing or mistyped or unsupported value, and for whatever check()
// refuses.

// transformers CLIPTextConfig. with_projection: the component is a CLIPTextModelWithProjection, so projection_dim
// counts (configs of CLIPTextModel carry one too).
ClipConfig parse_clip_config(std::string_view text, std::string_view what, bool with_projection);

// diffusers UNet2DConditionModel, also with asymmetric blocks (nested transformer_layers_per_block and
// reverse_transformer_layers_per_block, as in SSD-1B).
UnetConfig parse_unet_config(std::string_view text, std::string_view what);

// diffusers AutoencoderKL.
VaeConfig parse_vae_config(std::string_view text, std::string_view what);

// diffusers AutoencoderTiny.
TinyVaeConfig parse_tiny_vae_config(std::string_view text, std::string_view what);

}  // namespace tempera
