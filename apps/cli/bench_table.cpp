// tempera bench table: several ways to generate the same pictures, each in its own process, in one table.
#include <fmt/format.h>

#include <CLI/App.hpp>
#include <memory>
#include <string>

#include "commands.h"
#include "fields.h"
#include "interrupt.h"
#include "number_of.h"
#include "output_pattern.h"
#include "table_child.h"
#include "table_rows.h"
#include "table_run.h"
#include "tempera/tempera.h"

namespace tempera::cli {
namespace {

constexpr const char* kPreset = "sdxl-base";

// The defaults of the measurement.
struct Conditions {
  int images, side, steps, runs;
};
constexpr Conditions kUsual = {4, 1024, 25, 3}, kQuick = {2, 256, 4, 2};
constexpr double kGuidance = 5;

void fill_in(TableOptions& options) {
  const Conditions& usual = options.quick ? kQuick : kUsual;
  Request& request = options.inputs.request;
  if (!options.inputs.gives("prompt")) request.prompt = kBenchPrompt;
  if (request.num_images_per_prompt == 0) request.num_images_per_prompt = usual.images;
  if (request.width == 0) request.width = usual.side;
  if (request.height == 0) request.height = usual.side;
  if (!request.num_inference_steps) request.num_inference_steps = usual.steps;
  if (!request.guidance_scale) request.guidance_scale = kGuidance;
  if (!request.seed) request.seed = 0;
  if (request.scheduler.empty()) request.scheduler = "euler";
  if (!options.runs) options.runs = usual.runs;
  EngineOptions& engine = options.inputs.engine;
  if (!engine.preset.empty() && !engine.model.empty())
    throw Error(ErrorCode::invalid_argument, "--preset and --model are both given: give one of them");
  const bool named = !engine.model.empty() || !engine.preset.empty() || !options.task.what.empty();
  if (!named && !options.quick) engine.preset = kPreset;
}

int run(TableOptions options) {
  if (options.json && options.markdown)
    throw Error(ErrorCode::invalid_argument, "--json and --markdown are both given: give one of them");
  find_rows(options.rows);
  fill_in(options);
  if (!options.task.what.empty()) {
    options.task.rows = options.rows;
    options.task.runs = *options.runs;
    return run_table_task(options.task, options.inputs);
  }
  if (!options.output.empty()) check_output(options.output);
  catch_interrupts();
  ignore_write_signals();
  return run_table(options);
}

// The list of fields has the texts for all other cases.
void describe_conditions(CLI::App& app) {
  const auto both = [](const char* what, auto usual, auto quick) {
    return fmt::format("{} (default {}; {} with --quick)", what, usual, quick);
  };
  app.get_option("--images")->description(both("number of pictures", kUsual.images, kQuick.images));
  app.get_option("--width")->description(both("width, divisible by 8", kUsual.side, kQuick.side));
  app.get_option("--height")->description(both("height, divisible by 8", kUsual.side, kQuick.side));
  app.get_option("--steps")->description(both("denoising steps", kUsual.steps, kQuick.steps));
  app.get_option("--guidance-scale")->description(fmt::format("strength of the prompt (default {})", kGuidance));
  app.get_option("--seed")->description("seed of the first picture; picture i has seed + i (default 0)");
  app.get_option("--scheduler")->description("sampler by name (default euler)");
  app.get_option("--prompt")->description(fmt::format("what the picture shows (default: {})", kBenchPrompt));
  app.get_option("--model")->description(
      "diffusers folder or single .safetensors file (with --quick, default: the "
      "small model that comes with tempera)");
  app.get_option("--preset")
      ->description(fmt::format("random weights of a known model, instead of --model (default {}); "
                                "they are written to a temporary folder",
                                kPreset));
  app.get_option("--tiny-vae")
      ->description("tiny autoencoder of the row tiny_vae (default: model, the one in the model's folder)");
}

std::string footer() {
  std::string text = "Rows:\n";
  for (const TableRow& row : table_rows())
    text += fmt::format("{}: {} ({})\n", row.key, row.title,
                        row_options(row, "cuda").empty() ? "no options" : row_options(row, "cuda"));
  return text +
         "within:SIZE: tempera within a budget (--memory-budget SIZE), only when --rows names it\n"
         "\nHalf precision is fp16 on a card and bf16 on the CPU. Each row runs in its own process. 'seconds' is the "
         "time "
         "from the prompt to the pixels: the median of all runs but the first. 'spread' is the slowest of these runs "
         "minus the fastest. 'first' is the time from the start of the process to the pixels of its first run. "
         "'ceiling' is the arithmetic rate of a run, divided by the rate of the fastest product of square matrices, "
         "measured before the rows. Pictures are compared with those of the row fp32, in levels of 8 "
         "bits.\n\nTemporary files are in TMPDIR: 7 GB for random weights of sdxl-base.\n\n"
         "Exit status: 0 success, 1 a row failed, 2 mistake in the request or a file, 130 stopped by Ctrl-C.";
}

}  // namespace

Run add_bench_table(CLI::App& app) {
  auto options = std::make_shared<TableOptions>();
  options->inputs.request.num_images_per_prompt = 0;
  add_fields(app, options->inputs, [](const Field& field) { return field.has(FieldTrait::condition); });
  describe_conditions(app);
  const auto add = [&app](const char* name, auto& value, const char* type, const std::string& help, const char* group) {
    app.add_option(name, value, help)
        ->type_name(type)
        ->group(group)
        ->multi_option_policy(CLI::MultiOptionPolicy::TakeLast);
  };
  add("--rows", options->rows, "A,B,C", "only these rows (default: all); within:SIZE for a memory budget", "Measuring");
  app.add_option_function<std::string>(
         "--runs", [options](const std::string& text) { options->runs = number_of("--runs", text, 1, 1000); },
         fmt::format("requests of each process; the first is cold (default {}; {} with --quick)", kUsual.runs,
                     kQuick.runs))
      ->type_name("N")
      ->group("Measuring")
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeLast);
  app.add_flag("--quick", options->quick, "for a small machine: small pictures, few steps, a small model")
      ->group("Measuring");
  add("--commit", options->commit, "NAME", "commit of this build, for the JSON (default: that of --version)",
      "Measuring");
  add("-o,--output", options->output, "NAME.json", "file for the JSON, written after every row", "Output");
  app.add_flag("--json", options->json, "the table as JSON on standard output")->group("Output");
  app.add_flag("--markdown", options->markdown, "the table as Markdown on standard output")->group("Output");
  add("--pictures", options->task.pictures, "DIR",
      "folder for the pixel values of all rows; if it has the fp32 row of an earlier call, pictures are compared with "
      "that row",
      "Output");
  // Options for the processes that this one starts. They have no group, so that --help does not show them.
  add("--task", options->task.what, "NAME", "", "");
  add("--embeddings", options->task.embeddings, "FILE", "", "");
  app.footer(footer());
  return [options] { return run(*options); };
}

}  // namespace tempera::cli
