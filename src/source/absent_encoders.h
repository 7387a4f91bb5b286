// Folders that were saved without text encoders, to draw from embeddings of prompts.
#pragma once

#include <string_view>

#include "models/config.h"

namespace tempera {

// Sets the configurations of text encoders that are not there, so that they agree with the UNet: their widths and the
// width of the pooled text are the UNet's. All other values are defaults, and no graph may be built from them. A model
// whose UNet reads no more than the second encoder's text has no first one, as the refiner.
// Throws Error(bad_file) naming `source` if no widths agree with the UNet.
void assume_text_encoders(ModelConfig& config, bool first_is_absent, bool second_is_absent, std::string_view source);

}  // namespace tempera
