#include "commands.h"

#include <fmt/format.h>

#include <CLI/App.hpp>

#include "help.h"
#include "tempera/error.h"

namespace tempera::cli {

void add_command(CLI::App& app, Commands& commands, const char* name, const char* description,
                 Run (*declare)(CLI::App&)) {
  CLI::App* command = app.add_subcommand(name, description);
  command->allow_extras();
  // CLI11 compares each new option with all others, so options of commands that do not run are not declared.
  command->preparse_callback([command, &commands, declare](size_t) { commands[command] = declare(*command); });
}

const CLI::App* parsed_command(const CLI::App& app) {
  const std::vector<CLI::App*> parsed = app.get_subcommands();
  return parsed.empty() ? nullptr : parsed.back();
}

int run_parsed_command(const CLI::App& app, const Commands& commands) {
  const CLI::App* command = parsed_command(app);
  if (command == nullptr) {
    throw Error(ErrorCode::invalid_argument, fmt::format("no command: see {} --help", command_name(app)));
  }
  return commands.at(command)();
}

}  // namespace tempera::cli
