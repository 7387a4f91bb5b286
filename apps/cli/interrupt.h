// Ctrl-C and SIGTERM as a flag that the work polls ("cancelled?"). The second signal ends the process at once.
#pragma once

namespace tempera::cli {

// From here on the first SIGINT or SIGTERM is only remembered. A signal that the parent chose to ignore stays ignored.
void catch_interrupts();

// Writing to a closed pipe, or past a limit on file sizes, becomes an error of the write instead of ending the process.
// Then pictures can still be saved, and partial files can be removed.
void ignore_write_signals();

bool interrupted();

// The shell's convention for a process ended by the signal that came: 130 for Ctrl-C, 143 for SIGTERM.
int interrupted_exit_status();

}  // namespace tempera::cli
