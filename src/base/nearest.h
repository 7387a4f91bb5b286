// "did you mean": the nearest names to one that was mistyped.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace tempera {

// Up to `count` of the names with the fewest edits (insert, delete, replace) to `typed`, the nearest first, those of
// equal distance in their order. All of them if there are no more.
std::vector<std::string_view> nearest_names(std::string_view typed, std::span<const std::string_view> names,
                                            size_t count);

}  // namespace tempera
