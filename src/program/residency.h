// Residency: which parameters of a program stay on the device and which travel through a space that is smaller than
// all of them. A change of offsets and a schedule of copies; steps, kernels and results stay what they were.
#pragma once

#include "program/program.h"

namespace tempera {

struct StreamOptions {
  // Bytes of the space behind the arena that parameters travel through, at least least_stream(). 0: none; each segment
  // goes where the arena has room while it is there, and comes one ahead of the steps.
  size_t stream = 0;
  size_t resident = 0;  // bytes of parameters that may stay; spread evenly over the body, so that copies are too
  size_t alignment = 64;
};

// The least that a space of their own can be: what one step reads.
size_t least_stream(const Program& program, size_t alignment);

// The program with its parameters travelling. In a space of their own, segments lie one behind the other and start over
// at the end; each is copied as soon as nobody will read what it covers, so that copies run ahead of the steps, in the
// body across its end into the next run. Where all fit side by side, each is copied once on entry and stays until the
// space is lost. `program` has no segments yet.
Program stream_weights(Program program, const StreamOptions& options);

}  // namespace tempera
