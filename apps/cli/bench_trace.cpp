// tempera bench trace: the time of one generation, by kernel and stage.
#include <fmt/format.h>

#include <CLI/App.hpp>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "allocator.h"
#include "bench_output.h"
#include "commands.h"
#include "console.h"
#include "fields.h"
#include "interrupt.h"
#include "json_text.h"
#include "output_pattern.h"
#include "progress_bar.h"
#include "tempera/bench.h"
#include "tempera/tempera.h"

namespace tempera::cli {
namespace {

struct Options {
  Inputs inputs;
  std::string output;  // empty: no file
  bool json = false;
};

int run(const Options& options) {
  if (!options.output.empty()) check_output(options.output);
  catch_interrupts();
  ignore_write_signals();
  Request request = options.inputs.request;
  if (!options.inputs.gives("prompt")) request.prompt = kBenchPrompt;

  ProgressBar bar(stderr);
  std::vector<TraceEvent> events;
  Callbacks callbacks;
  callbacks.progress = [&bar](const Progress& p) { bar.update(p.stage, p.step, p.steps); };
  callbacks.cancelled = interrupted;
  callbacks.trace = [&events](const TraceEvent& event) { events.push_back(event); };
  Pipeline pipeline(options.inputs.engine, warnings_to_console(&bar));
  const Plan plan = pipeline.generate(request, trimmed_after_planning(std::move(callbacks))).plan;
  const std::string title =
      fmt::format("tempera: {}, {}, {}, {}x{}", plan.model, plan.device, plan.dtype, plan.width, plan.height);
  if (!options.output.empty()) save_trace(options.output, events, title);
  bar.clear();

  if (options.json) {
    print_out(json_text(trace_json(plan, events, options.output)));
  } else {
    print_out(trace_table(plan, events));
    if (!options.output.empty()) print_out("\n" + options.output + "\n");
  }
  return 0;
}

}  // namespace

Run add_bench_trace(CLI::App& app) {
  auto options = std::make_shared<Options>();
  add_fields(app, options->inputs, [](const Field& field) { return !field.has(FieldTrait::for_plans_only); });
  app.add_option("-o,--output", options->output,
                 "file for chrome://tracing or ui.perfetto.dev (default: none, only the table)")
      ->type_name("NAME.json")
      ->group("Output")
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeLast);
  app.add_flag("--json", options->json, "the seconds as JSON on standard output")->group("Output");
  app.footer(
      fmt::format("Without a prompt: {}.\n\nThe picture is not kept. The command waits for the end of every run of a "
                  "program, and does not use CUDA graphs. So it needs somewhat more time than tempera generate. An "
                  "existing file of "
                  "the name in --output is replaced.",
                  kBenchPrompt));
  return [options] { return run(*options); };
}

}  // namespace tempera::cli
