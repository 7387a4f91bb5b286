// "did you mean": the nearest names to one that was mistyped.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace tempera {

// The name with the fewest edits (insert, delete, replace, swap of neighbours) to `typed`, if they are at most a third
// of its length. If several have the fewest edits: the first of them. Empty if there is no such name.
std::string nearest(std::string_view typed, const std::vector<std::string>& names);

}  // namespace tempera
