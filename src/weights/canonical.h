// The one spelling of diffusers' names that this program uses; for the naming schemes of this folder.
#pragma once

#include <optional>
#include <string_view>

#include "weights/adapt.h"

namespace tempera {

// Each: the canonical spelling of a name that any version of diffusers or transformers gave, and what makes the tensor
// canonical. Nothing for tensors that are no weights.
std::optional<Source> canonical_text(std::string_view name);
std::optional<Source> canonical_unet(std::string_view name);
std::optional<Source> canonical_vae(std::string_view name);
// Of a component whose names no version has changed.
std::optional<Source> canonical_as_given(std::string_view name);

}  // namespace tempera
