// Values that are not finite would end as a black picture without an explanation. These checks find the component.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>

#include "pipeline/conditioning.h"
#include "weights/checkpoint.h"

namespace tempera {

// The weights of a component; nullptr if they are not opened.
using WeightsOf = std::function<const Checkpoint*(std::string_view component)>;

// Each returns the text of a warning with the component and the remedy; "" if there is nothing to warn of. If there is,
// the weights of the component are read, and the warning names the tensor and the file with elements that are not
// finite.

// NaN and infinities in the results of the text encoders.
std::string embeddings_warning(const PromptEmbeddings& embeddings, const ModelConfig& model,
                               const WeightsOf& weights_of);

// NaN and infinities in the latents of a picture, (C, H, W) or any other order.
std::string latents_warning(std::span<const float> latents, const Checkpoint& unet);

// A picture whose bytes are all zero, from latents that are not. `decoder`: the name of the component.
std::string picture_warning(std::span<const uint8_t> rgb, std::span<const float> latents, std::string_view decoder,
                            const Checkpoint& weights);

}  // namespace tempera
