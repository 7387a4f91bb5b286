// tempera bench: the commands that measure, or show measurements.
#include <CLI/App.hpp>
#include <memory>

#include "commands.h"

namespace tempera::cli {

Run add_bench(CLI::App& app) {
  auto commands = std::make_shared<Commands>();
  app.require_subcommand(0, 1);
  add_command(app, *commands, "algorithms", "list the algorithms that were the fastest on a card",
              add_bench_algorithms);
  add_command(app, *commands, "ops",
              "measure every kernel at every shape of a model, compared with the limits of the machine", add_bench_ops);
  add_command(app, *commands, "table", "compare ways to generate the same pictures", add_bench_table);
  add_command(app, *commands, "trace", "measure every step of one generation, and write a file for trace viewers",
              add_bench_trace);
  app.footer("tempera bench COMMAND --help shows the options of a command.");
  return [&app, commands] { return run_parsed_command(app, *commands); };
}

}  // namespace tempera::cli
