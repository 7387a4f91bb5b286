// Offsets for values with known lifetimes in one arena: largest first, each at the lowest offset where it overlaps no
// live neighbour (the greedy-by-size rule of Pisarchyk and Lee 2020).
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace tempera {

struct Lifetime {
  size_t bytes = 0;
  uint32_t first = 0, last = 0;  // steps, both inclusive
  bool operator==(const Lifetime&) const = default;
};

// A value at a fixed place.
struct Placed {
  size_t offset = 0;
  Lifetime lifetime;
  bool operator==(const Placed&) const = default;
};

struct ArenaPlan {
  std::vector<size_t> offsets;
  size_t size = 0;
};

ArenaPlan plan_memory(const std::vector<Lifetime>& values, size_t alignment);

}  // namespace tempera
