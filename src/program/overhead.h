// Memory of bound programs that is not in their reports: code that a library generates, descriptors.
#pragma once

#include <span>

#include "program/program.h"

namespace tempera {

// Bytes for these programs together: Target::overhead_step for each step, and KernelInfo::overhead once for each
// distinct problem of each kernel, since the backend keeps its objects by problem.
size_t overhead_of(std::span<const Program* const> programs, const Target& target);

}  // namespace tempera
