// Standard output and error. Results are written to standard output, messages about the work (progress, warnings,
// errors) to standard error, so that both can be piped.
#pragma once

#include <string_view>

#include "tempera/log.h"

namespace tempera::cli {

class ProgressBar;

// Descriptors 0 to 2 exist from here on: a file that the program opens can never become its own standard output.
void keep_standard_streams_open();

// Writes the whole text to standard output. Throws Error(io) when that fails (disk full, closed).
void print_out(std::string_view text);

// One line on standard error. Errors of this write are ignored. Control characters other than tab are shown as '?'.
void print_error(std::string_view line);

// A sink that shows warnings on standard error, above the progress bar if there is one.
LogSink warnings_to_console(ProgressBar* bar = nullptr);

}  // namespace tempera::cli
