// Ctrl-C and SIGTERM as a flag that the work polls ("cancelled?"). The second signal ends the process at once.
#pragma once

namespace tempera::cli {

// From now on, the first SIGINT or SIGTERM only sets the flag. A signal that the parent process ignores stays ignored.
void catch_interrupts();

// Writing to a closed pipe, or past a limit on file sizes, becomes an error of the write instead of ending the process.
// Then pictures can still be saved, and partial files can be removed.
void ignore_write_signals();

bool interrupted();

// The shell's convention for a process that was ended by this signal: 130 for Ctrl-C, 143 for SIGTERM.
int interrupted_exit_status();

}  // namespace tempera::cli
