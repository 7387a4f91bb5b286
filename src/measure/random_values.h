// Numbers that replace trained weights and real inputs: a hash of (stream, element). They are the same on every machine
// and in any order, and have about the spread of trained values.
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

// The spread of a parameter's values, so that activations keep their size through the network: norms near identity,
// small biases, matrices with unit gain.
Spread weight_spread(const std::string& name, const std::vector<int64_t>& dims);

// splitmix64 (Steele et al. 2014), which generates the streams.
uint64_t mix(uint64_t x);

// Elements of a stream, beginning at `begin`, as `dtype` (f32, f16 or bf16). All cores compute them.
void random_values(uint64_t stream, size_t begin, Spread spread, DType dtype, std::span<std::byte> out);

}  // namespace tempera
