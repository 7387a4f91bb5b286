// Ctrl-C and SIGTERM as a question the work asks ("cancelled?"). The second one ends the process at once.
#pragma once

namespace tempera::cli {

// From here on the first SIGINT or SIGTERM is only remembered. A signal that the parent chose to ignore stays ignored.
void catch_interrupts();

bool interrupted();

// The shell's convention for a process ended by the signal that came: 130 for Ctrl-C, 143 for SIGTERM.
int interrupted_exit_status();

}  // namespace tempera::cli
