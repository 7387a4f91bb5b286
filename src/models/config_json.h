// config.json of diffusers and transformers -> the plain data of models/config.h. Keys that change nothing here are
// ignored. Values for which the graphs would compute a wrong result are refused, with the key in the message.
#pragma once

#include <string_view>

#include "models/config.h"

namespace tempera {

// All: `text` is the whole file, `what` its path for messages. Throw Error(bad_file, "'<what>': ...") in one sentence
// with key and value, for malformed JSON, for a missing, mistyped or unsupported value, and for values that check()
// refuses.

// transformers CLIPTextConfig. with_projection: the component is a CLIPTextModelWithProjection, so projection_dim is
// used (configs of CLIPTextModel have it too).
ClipConfig parse_clip_config(std::string_view text, std::string_view what, bool with_projection);

// diffusers UNet2DConditionModel, also with asymmetric blocks (nested transformer_layers_per_block and
// reverse_transformer_layers_per_block, as in SSD-1B).
UnetConfig parse_unet_config(std::string_view text, std::string_view what);

// diffusers AutoencoderKL.
VaeConfig parse_vae_config(std::string_view text, std::string_view what);

// diffusers AutoencoderTiny.
TinyVaeConfig parse_tiny_vae_config(std::string_view text, std::string_view what);

}  // namespace tempera
