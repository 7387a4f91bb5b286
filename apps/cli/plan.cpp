// tempera plan: the memory and work of a request, without reading weights.
#include <fmt/ranges.h>

#include <CLI/App.hpp>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>

#include "commands.h"
#include "console.h"
#include "fields.h"
#include "json_text.h"
#include "plan_output.h"
#include "tempera/tempera.h"

namespace tempera::cli {
namespace {

struct Options {
  Inputs inputs;
  bool json = false;
  bool listing = false;
};

int run(const Options& options) {
  const Plan result = plan(options.inputs.engine, options.inputs.request, options.listing);
  if (options.json) {
    print_out(json_text(plan_json(result)));
    return 0;
  }
  print_out(plan_table(result));
  if (options.listing) print_out("\n" + result.listing);
  return 0;
}

}  // namespace

Run add_plan(CLI::App& app) {
  auto options = std::make_shared<Options>();
  add_fields(app, options->inputs, [](const Field&) { return true; });
  app.add_flag("--json", options->json, "the plan as JSON: peak_bytes, its parts, every stage")->group("Output");
  app.add_flag("--listing", options->listing, "every step with its kernel and memory offsets")->group("Output");
  app.footer(fmt::format("Presets: {}\n\nNo GPU is needed to plan for --device cuda.", fmt::join(preset_list(), ", ")));
  return [options] { return run(*options); };
}

}  // namespace tempera::cli
