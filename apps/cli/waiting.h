// How the threads of this process wait for each other.
#pragma once

namespace tempera::cli {

// Threads that wait spin for about the time that sleeping and waking needs, and then sleep, unless the user's
// environment sets this (OMP_WAIT_POLICY or GOMP_SPINCOUNT). By default, libgomp spins for milliseconds. If other
// programs use the same cores, this can stop the work: the thread that others wait for does not run while they spin.
// docs/MEASURING.md has the figures.
//
// libgomp reads its environment when it is loaded, so the program starts itself again with the same arguments. Call
// this first in main. It returns if the user has set the environment, in the second start, or if a second start is not
// possible.
void limit_spinning(char** argv);

}  // namespace tempera::cli
