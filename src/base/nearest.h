// The nearest of some names to one that was mistyped. tempera/nearest.h has the nearest one.
#pragma once

#include <cstddef>
#include <span>
#include <string_view>
#include <vector>

namespace tempera {

// Up to `count` of the names with the fewest edits to `typed`, the nearest first. Names of equal distance stay in their
// order. The result refers to the characters of `names`.
std::vector<std::string_view> nearest_names(std::string_view typed, std::span<const std::string_view> names,
                                            size_t count);

}  // namespace tempera
