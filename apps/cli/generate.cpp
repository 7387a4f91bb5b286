// tempera generate: draws the pictures of a prompt and writes them to files.
#include <fmt/ranges.h>

#include <CLI/App.hpp>
#include <chrono>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "allocator.h"
#include "background_hash.h"
#include "commands.h"
#include "console.h"
#include "fields.h"
#include "interrupt.h"
#include "json_text.h"
#include "latents_output.h"
#include "picture_output.h"
#include "plan_output.h"
#include "progress_bar.h"
#include "save_pictures.h"
#include "tempera/settings.h"
#include "tempera/tempera.h"
#include "units.h"

namespace tempera::cli {
namespace {

struct Options {
  Inputs inputs;
  std::string from;  // a picture whose settings are used; empty: none
  PictureOutput output;
  bool json = false;
};

Callbacks callbacks_for(ProgressBar& bar, std::optional<PictureSaver>& saver) {
  Callbacks callbacks;
  callbacks.picture = [&bar, &saver](int, const Image& image) {
    bar.clear();
    if (saver) saver->save(image);
  };
  callbacks.progress = [&bar](const Progress& progress) {
    const std::string which = progress.images > 1
                                  ? fmt::format("{} {}/{} ", progress.stage, progress.image + 1, progress.images)
                                  : std::string(progress.stage);
    bar.update(which, progress.step, progress.steps);
  };
  callbacks.cancelled = interrupted;
  return trimmed_after_planning(std::move(callbacks));
}

nlohmann::ordered_json result_json(const Result& result, const std::vector<std::filesystem::path>& files,
                                   double total_seconds) {
  nlohmann::ordered_json names = nlohmann::ordered_json::array(), seeds = names;
  for (const std::filesystem::path& file : files) names.push_back(file.string());
  for (const Image& image : result.images) seeds.push_back(image.seed);
  nlohmann::ordered_json seconds = nlohmann::ordered_json::object();
  for (const Stage& stage : result.stages) seconds[stage.name] = stage.seconds;
  seconds["total"] = total_seconds;
  return {
      {"files", names},
      {"seeds", seeds},
      {"seconds", seconds},
      {"memory",
       {{"planned_peak_bytes", result.plan.memory.peak_bytes}, {"measured_peak_bytes", result.measured_peak_bytes}}},
      {"plan", plan_json(result.plan)}};
}

// "12.3 s (load 1.0, text 0.2, denoise 9.1, decode 2.0), peak memory 6.46 GiB".
std::string summary(const Result& result, double total_seconds) {
  std::vector<std::string> stages;
  for (const Stage& stage : result.stages) stages.push_back(fmt::format("{} {:.1f}", stage.name, stage.seconds));
  return fmt::format("{:.1f} s ({}), peak memory {}", total_seconds, fmt::join(stages, ", "),
                     format_bytes(static_cast<double>(result.measured_peak_bytes)));
}

// After an error, the finished pictures of the request are not lost.
void report_finished(const PictureSaver& saver) {
  std::vector<std::string> names;
  for (const std::filesystem::path& file : saver.files()) names.push_back(file.string());
  if (!names.empty()) print_error(fmt::format("tempera: finished before that: {}", fmt::join(names, ", ")));
  if (!saver.problem().empty()) print_error(fmt::format("tempera: error: {}", saver.problem()));
}

// The settings of the picture, and then the options of the command line.
Inputs inputs_from(const Options& options) {
  Inputs inputs{.given = options.inputs.given};
  const PictureSettings settings = read_settings(options.from);
  use_settings(settings, options.from, inputs.given, inputs.request, inputs.engine, warnings_to_console());
  return inputs;
}

int run(const Options& options) {
  Inputs inputs = options.from.empty() ? options.inputs : inputs_from(options);
  if (options.from.empty() && !inputs.gives("prompt") && inputs.request.prompt_embeds.empty()) {
    throw Error(ErrorCode::invalid_argument, "no prompt: give one, as in tempera generate \"a red apple\"");
  }
  const std::optional<LatentsOutput> latents = LatentsOutput::of(options.output.output, inputs.request);
  std::optional<PictureSaver> saver;
  if (!latents) saver.emplace(options.output, inputs.request);
  catch_interrupts();
  ignore_write_signals();

  const auto start = std::chrono::steady_clock::now();
  ProgressBar bar(stderr);
  Pipeline pipeline(inputs.engine, warnings_to_console(&bar));
  Result result;
  try {
    result = pipeline.generate(inputs.request, callbacks_for(bar, saver));
  } catch (...) {
    bar.clear();
    if (saver) report_finished(*saver);
    throw;
  }
  if (saver) saver->check();
  if (latents) latents->save(result);
  const std::vector<std::filesystem::path> files = saver ? saver->files() : std::vector{latents->path()};
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  bar.clear();

  if (bar.is_terminal()) print_error(summary(result, seconds));
  if (options.json) {
    print_out(json_text(result_json(result, files, seconds)));
  } else if (!saver || !saver->to_standard_output()) {
    for (const std::filesystem::path& file : files) print_out(file.string() + "\n");
  }
  start_background_hash(result.plan.model);
  for (const std::string& file : result.plan.adapters) start_background_hash(file);
  return 0;
}

std::string footer() {
  return fmt::format("Samplers: {}", fmt::join(scheduler_list(), ", ")) +
         "\n\nWith --output, an existing file of that name is replaced. Without it, no file is replaced: the next free "
         "number is added to the name. "
         "Several pictures with one plain name become NAME.png, NAME-1.png, NAME-2.png, ... "
         "One picture can go to standard output (-), a pipe or a device; with standard output, all other text goes to "
         "standard error.\n\n"
         "Exit status: 0 success, 1 failure, 2 mistake in the request or a file, 130 stopped by Ctrl-C.";
}

}  // namespace

Run add_generate(CLI::App& app) {
  auto options = std::make_shared<Options>();
  add_fields(app, options->inputs, [](const Field& field) { return !field.has(FieldTrait::for_plans_only); });
  app.add_option("--from", options->from,
                 "start from the settings in a picture of tempera, A1111, stable-diffusion.cpp, ComfyUI, InvokeAI or "
                 "Fooocus; other options replace them")
      ->type_name("PICTURE")
      ->group("Picture")
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeLast);
  add_picture_output(app, options->output);
  app.add_flag("--json", options->json, "print files, times and memory as JSON on standard output")->group("Output");
  app.footer(footer());
  return [options] { return run(*options); };
}

}  // namespace tempera::cli
