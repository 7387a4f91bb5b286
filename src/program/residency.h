// Residency: which parameters of a program stay on the device, and which are copied in during a run through a smaller
// staging space. It changes offsets and adds a schedule of copies. Steps, kernels and results do not change.
#pragma once

#include "program/program.h"

namespace tempera {

struct StreamOptions {
  // Bytes of the staging space after the arena, at least least_stream(). 0: no such space; segments are placed in the
  // arena by lifetime and copied one segment ahead of the steps.
  size_t stream = 0;
  size_t resident = 0;  // bytes of parameters that may stay; spread evenly over the body, so copies are even too
  size_t alignment = 64;
};

// Minimum size of the staging space: the parameters of one step.
size_t least_stream(const Program& program, size_t alignment);

// The program with streamed parameters. `program` has no segments yet. In the staging space, segments are placed one
// after the other, and start again at the beginning. A segment is copied when no step will read the bytes that it
// overwrites. So copies run ahead of the steps, and in the body across its end into the next run. If all segments fit,
// each is copied once at the start and stays until the memory is used by another program.
Program stream_weights(Program program, const StreamOptions& options);

}  // namespace tempera
