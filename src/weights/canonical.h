// This program's spelling of diffusers' names, for the naming schemes of this folder.
#pragma once

#include <optional>
#include <string_view>

#include "weights/adapt.h"

namespace tempera {

// Each: the canonical spelling of a name from any version of diffusers or transformers, and the transform that makes
// the tensor canonical. Nothing for tensors that are not weights.
std::optional<Source> canonical_text(std::string_view name);
std::optional<Source> canonical_unet(std::string_view name);
std::optional<Source> canonical_vae(std::string_view name);
// For a component whose names are the same in all versions.
std::optional<Source> canonical_as_given(std::string_view name);

}  // namespace tempera
