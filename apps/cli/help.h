// The text of --help, and the one-sentence form of every mistake on the command line.
#pragma once

#include <string>
#include <vector>

namespace CLI {
class App;
class ParseError;
}  // namespace CLI

namespace tempera::cli {

// "tempera generate".
std::string command_name(const CLI::App& app);

// Usage, commands or options by group, and the footer, at most `columns` wide where words allow it.
std::string help_text(const CLI::App& app, size_t columns);

// The arguments for CLI11: "--name=" becomes "--name" and "". Otherwise it would treat the empty value as none and use
// the next argument.
std::vector<std::string> separate_empty_values(const std::vector<std::string>& arguments);

// Throws Error(invalid_argument) for arguments that `app` did not parse: "unknown option --stesp: did you mean --steps?
// ...".
void refuse_left_over(const CLI::App& app);

// CLI11's message, with the command for help: "--steps needs a value (N): see tempera generate --help".
std::string describe(const CLI::ParseError& error, const CLI::App& app);

}  // namespace tempera::cli
