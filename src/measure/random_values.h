// Numbers that stand in for trained weights and real inputs: a hash of (stream, element), so the same on every machine
// and in any order, with about the spread that trained values have.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/dtype.h"

namespace tempera {

struct Spread {
  float mean = 0, deviation = 1;
  auto operator<=>(const Spread&) const = default;
};

// How a parameter's values spread, so that activations keep their size through the network: norms near identity, small
// biases, matrices with unit gain.
Spread weight_spread(const std::string& name, const std::vector<int64_t>& dims);

// splitmix64 (Steele et al. 2014): streams are made from it.
uint64_t mix(uint64_t x);

// Elements from `begin` on of a stream, as `dtype` (f32, f16 or bf16), made by all cores.
void random_values(uint64_t stream, size_t begin, Spread spread, DType dtype, std::span<std::byte> out);

}  // namespace tempera
