// The check of a decoder that is opened for a model. It is made before any work, because the decoder is loaded when the
// denoising is over.
#pragma once

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "models/inventory.h"
#include "weights/checkpoint.h"

namespace tempera {

// Throws Error(bad_file) when one of the decoder's `parameters` is missing or has another shape. `remedy`: the things
// to give to `field`.
inline void check_decoder(const Checkpoint& weights, const std::vector<Parameter>& parameters, std::string_view what,
                          FieldName field, std::string_view remedy) {
  for (const Parameter& parameter : parameters) {
    if (!parameter.name.starts_with("decoder.") && !parameter.name.starts_with("post_quant_conv.")) continue;
    const std::optional<CheckpointTensor> tensor = weights.find(parameter.name);
    if (!tensor) fail(ErrorCode::bad_file, "'{}' has no tensor {}: give {} {}", what, parameter.name, field, remedy);
    const auto expected = parameter.shape.dims();
    if (!std::equal(expected.begin(), expected.end(), tensor->dims.begin(), tensor->dims.end()))
      fail(ErrorCode::bad_file, "{} is {}, expected {}: give {} the folder that has this autoencoder's config.json",
           weights.origin(parameter.name), dims_to_string(tensor->dims), to_string(parameter.shape), field);
  }
}

}  // namespace tempera
