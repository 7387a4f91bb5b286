// tempera bench ops: the time of every kernel of a model, compared with the machine's best.
#include <fmt/ranges.h>

#include <CLI/App.hpp>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>

#include "bench_output.h"
#include "commands.h"
#include "console.h"
#include "fields.h"
#include "interrupt.h"
#include "json_text.h"
#include "number_of.h"
#include "progress_bar.h"
#include "tempera/bench.h"
#include "tempera/tempera.h"

namespace tempera::cli {
namespace {

struct Options {
  Inputs inputs;
  BenchOpsOptions bench;
  bool json = false;
};

int run(const Options& options) {
  catch_interrupts();
  BenchOpsOptions bench = options.bench;
  bench.engine = options.inputs.engine;
  bench.request = options.inputs.request;
  ProgressBar bar(stderr);
  const auto progress = [&bar](std::string_view what, size_t done, size_t total) {
    bar.update(what, static_cast<double>(done), static_cast<double>(total));
  };
  const BenchOps result = bench_ops(bench, progress, interrupted);
  bar.clear();
  print_out(options.json ? json_text(ops_json(result)) : ops_table(result));
  return 0;
}

std::string footer() {
  return fmt::format("Presets: {}", fmt::join(preset_list(), ", ")) +
         "\n\nWeights and inputs are random, so a preset needs no file. The ceilings are the highest rates of the "
         "device. They are measured first, on the same device. Arithmetic: the fastest product of square matrices by "
         "the device's own kernel for linear "
         "layers. Memory: the sum of two large tensors. Bytes are those of a kernel's inputs and output, each once. "
         "The column 'ceiling' is the least time that the ceilings allow, divided by the measured time. It can exceed "
         "100% if the data is in caches.";
}

}  // namespace

Run add_bench_ops(CLI::App& app) {
  auto options = std::make_shared<Options>();
  add_fields(app, options->inputs, [](const Field& field) { return field.has(FieldTrait::shapes_programs); });
  app.add_option("--component", options->bench.component,
                 "only one program of the plan, such as unet (default: all of them)")
      ->type_name("NAME")
      ->group("Measuring")
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeLast);
  app.add_option_function<std::string>(
         "--repeats",
         [options](const std::string& text) { options->bench.repeats = number_of("--repeats", text, 1, 1000); },
         fmt::format("measurements of each kernel; the median counts (default {})", options->bench.repeats))
      ->type_name("N")
      ->group("Measuring")
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeLast);
  app.add_flag("--json", options->json, "every shape as JSON on standard output")->group("Output");
  app.footer(footer());
  return [options] { return run(*options); };
}

}  // namespace tempera::cli
