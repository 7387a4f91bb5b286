// The check of a fuzz target: libFuzzer reports an abort.
#pragma once

#include <cstdlib>

namespace tempera {

inline void expect(bool condition) {
  if (!condition) std::abort();
}

}  // namespace tempera
