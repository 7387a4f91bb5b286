// tempera bench algorithms: which algorithms were found to be the fastest, and a way to have them measured again.
#include <fmt/format.h>

#include <CLI/App.hpp>
#include <memory>
#include <nlohmann/json.hpp>

#include "bench_output.h"
#include "commands.h"
#include "console.h"
#include "json_text.h"
#include "tempera/bench.h"

namespace tempera::cli {
namespace {

struct Options {
  bool clear = false, json = false;
};

int run(const Options& options) {
  if (options.clear) forget_algorithm_choices();
  const AlgorithmChoices choices = algorithm_choices();
  print_out(options.json ? json_text(algorithms_json(choices)) : algorithms_table(choices));
  return 0;
}

}  // namespace

Run add_bench_algorithms(CLI::App& app) {
  auto options = std::make_shared<Options>();
  app.add_flag("--clear", options->clear, "delete all choices: every problem is measured again when it next occurs")
      ->group("Measuring");
  app.add_flag("--json", options->json, "the list as JSON on standard output")->group("Output");
  app.footer(
      "When several algorithms of cuBLASLt, cuDNN and tempera can run a problem, tempera times them on the card when "
      "the problem first occurs. It keeps the fastest in a file. Later processes read the file, do not measure again, "
      "and compute the same bytes. A choice is for one card and one version of the library. After --clear, pictures "
      "may differ in their last "
      "bits.\n\nThis command needs no card.");
  return [options] { return run(*options); };
}

}  // namespace tempera::cli
