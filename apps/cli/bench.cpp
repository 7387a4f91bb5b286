// tempera bench: the commands that measure, or show what was measured.
#include <CLI/App.hpp>
#include <memory>

#include "commands.h"

namespace tempera::cli {

Run add_bench(CLI::App& app) {
  auto commands = std::make_shared<Commands>();
  app.require_subcommand(0, 1);
  add_command(app, *commands, "algorithms", "which algorithms were found to be the fastest on a card",
              add_bench_algorithms);
  add_command(app, *commands, "ops", "every kernel at every shape of a model, beside what the machine can do",
              add_bench_ops);
  add_command(app, *commands, "table", "ways to draw the same pictures, beside each other", add_bench_table);
  add_command(app, *commands, "trace", "one generation, step by step, as a file for trace viewers", add_bench_trace);
  app.footer("tempera bench COMMAND --help tells more about a command.");
  return [&app, commands] { return run_parsed_command(app, *commands); };
}

}  // namespace tempera::cli
