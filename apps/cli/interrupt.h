// Ctrl-C and SIGTERM as a question the work asks ("cancelled?"). The second one ends the process at once.
#pragma once

namespace tempera::cli {

// From here on the first SIGINT or SIGTERM is only remembered. A signal that the parent chose to ignore stays ignored.
void catch_interrupts();

// Writing to a pipe that nobody reads and past a limit on file sizes become errors of the write instead of ending the
// process: pictures are still to be saved, half a file still to be removed.
void ignore_write_signals();

bool interrupted();

// The shell's convention for a process ended by the signal that came: 130 for Ctrl-C, 143 for SIGTERM.
int interrupted_exit_status();

}  // namespace tempera::cli
