// How the threads of this process wait for each other.
#pragma once

namespace tempera::cli {

// Lets them spin about as long as sleeping and waking takes, and sleep then, unless the user's environment says how
// (OMP_WAIT_POLICY or GOMP_SPINCOUNT). libgomp spins for milliseconds, which other programs on the same cores turn into
// a standstill: the thread that is waited for does not run while others spin. docs/MEASURING.md has the figures.
//
// libgomp reads its environment when it is loaded, so the program starts itself again, with the same arguments: call
// this first in main. Returns where the user has chosen, the second time, and where starting again is not possible.
void limit_spinning(char** argv);

}  // namespace tempera::cli
