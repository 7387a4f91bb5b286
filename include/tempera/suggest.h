// "did you mean": the nearest of some names to one that was mistyped.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace tempera {

// The name with the fewest edits (insert, delete, replace, swap of neighbours) to `typed`, where those are few for its
// length: at most a third of it. Nothing otherwise; the first of equals.
std::string nearest(std::string_view typed, const std::vector<std::string>& names);

}  // namespace tempera
