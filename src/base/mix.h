// Identities of values: 64-bit numbers that differ, as good as certainly, for different sequences.
#pragma once

#include <cstdint>

namespace tempera {

// A mix of two numbers that differs for other pairs (the finalizer of SplitMix64, Steele et al. 2014).
constexpr uint64_t mixed(uint64_t a, uint64_t b) {
  uint64_t x = a + 0x9e3779b97f4a7c15u * (b + 1);
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
  return x ^ (x >> 31);
}

}  // namespace tempera
