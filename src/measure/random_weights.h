// A program without a model: weights and inputs of random values, so that measuring kernels needs no file.
#pragma once

#include "program/program.h"
#include "runtime/executable.h"
#include "weights/made.h"

namespace tempera {

// Every weight of a program. Weights of equal spread and dtype read the same values, because random numbers for a whole
// model would take longer than the measurement.
class RandomWeights final : public MadeCheckpoint {
 public:
  explicit RandomWeights(const Program& program);
};

// Writes every input: floating-point ones with deviation 1, indices within the range of their tables.
void write_random_inputs(Executable& executable);

}  // namespace tempera
