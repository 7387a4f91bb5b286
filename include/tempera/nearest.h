// "did you mean": the nearest names to one that was mistyped.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace tempera {

// The name with the fewest edits (insert, delete, replace, swap of neighbours) to `typed`, if they are at most a third
// of its length. Of equal ones, the first. Nothing if there is none.
std::string nearest(std::string_view typed, const std::vector<std::string>& names);

// Up to `count` of the names with the fewest edits to `typed`, the nearest first. Names of equal distance stay in their
// order. The result refers to the characters of `names`.
std::vector<std::string_view> nearest_names(std::string_view typed, std::span<const std::string_view> names,
                                            size_t count);

}  // namespace tempera
