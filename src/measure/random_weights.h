// A program without a model: weights and inputs of random values, so that kernels can be measured without any file.
#pragma once

#include "program/program.h"
#include "runtime/executable.h"
#include "weights/made.h"

namespace tempera {

// Every weight of a program. Those of equal spread and dtype read the same values: a model's worth of random numbers
// would take longer to make than to measure with.
class RandomWeights final : public MadeCheckpoint {
 public:
  explicit RandomWeights(const Program& program);
};

// Writes every input: floating-point ones with deviation 1, indices within what they point into.
void write_random_inputs(Executable& executable);

}  // namespace tempera
