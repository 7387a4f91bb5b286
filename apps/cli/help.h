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

// The arguments as CLI11 is to read them: "--name=" becomes "--name" and "", since it takes an empty value for none and
// would go on to the next argument.
std::vector<std::string> separate_empty_values(const std::vector<std::string>& arguments);

// Throws Error(invalid_argument) for what `app` left over: "unknown option --stesp: did you mean --steps? ...".
void refuse_left_over(const CLI::App& app);

// What CLI11 has to say, with the command to turn to: "--steps needs a value (N): see tempera generate --help".
std::string describe(const CLI::ParseError& error, const CLI::App& app);

}  // namespace tempera::cli
