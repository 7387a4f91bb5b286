// Counts what the program allocates: allocations.cpp replaces operator new of the whole test.
#pragma once

#include <cstddef>

namespace tempera::test {

// Bytes of the largest single allocation since the last call.
size_t largest_allocation();

}  // namespace tempera::test
