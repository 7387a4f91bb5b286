// The one spelling of diffusers' names that this program uses; for the naming schemes of this folder.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "weights/naming.h"

namespace tempera {

// The canonical spelling of a name that any version of diffusers or transformers gave, and what makes the tensor
// canonical. Nothing for tensors that are no weights.
std::optional<Source> canonical_name(Component component, std::string_view name);

// Adds name -> source. Throws Error(bad_file) when the table has the name already.
void add_row(AdaptedCheckpoint::Table& table, const std::string& name, const Source& source, const Checkpoint& below);

}  // namespace tempera
