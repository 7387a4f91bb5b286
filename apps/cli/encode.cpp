// tempera encode: writes the embeddings of prompts to a file.
#include <fmt/format.h>

#include <CLI/App.hpp>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>

#include "commands.h"
#include "console.h"
#include "fields.h"
#include "interrupt.h"
#include "json_text.h"
#include "output_pattern.h"
#include "progress_bar.h"
#include "tempera/tempera.h"

namespace tempera::cli {
namespace {

struct Options {
  Inputs inputs;
  std::string output;
  bool json = false;
};

nlohmann::ordered_json result_json(const EncodeResult& result, const std::string& file) {
  nlohmann::ordered_json seconds = nlohmann::ordered_json::object();
  for (const Stage& stage : result.stages) seconds[stage.name] = stage.seconds;
  return {{"file", file},
          {"tokens", result.tokens},
          {"seconds", seconds},
          {"memory", {{"measured_peak_bytes", result.measured_peak_bytes}}}};
}

int run(const Options& options) {
  const Inputs& inputs = options.inputs;
  if (!inputs.gives("prompt")) {
    throw Error(ErrorCode::invalid_argument,
                "no prompt: give one, as in tempera encode \"a red apple\" --output apple.safetensors");
  }
  if (options.output.empty()) {
    throw Error(ErrorCode::invalid_argument, "no file to write: name one with --output, such as apple.safetensors");
  }
  check_output(options.output);
  catch_interrupts();
  ignore_write_signals();
  ProgressBar bar(stderr);
  Callbacks callbacks;
  callbacks.progress = [&bar](const Progress& p) { bar.update(std::string(p.stage), p.step, p.steps); };
  callbacks.cancelled = interrupted;
  Pipeline pipeline(inputs.engine, warnings_to_console(&bar));
  const EncodeResult result = pipeline.encode(inputs.request, options.output, callbacks);
  bar.clear();
  print_out(options.json ? json_text(result_json(result, options.output)) : options.output + "\n");
  return 0;
}

}  // namespace

Run add_encode(CLI::App& app) {
  auto options = std::make_shared<Options>();
  add_fields(app, options->inputs, [](const Field& field) { return field.has(FieldTrait::encodes_text); });
  app.add_option("-o,--output", options->output, "file to write, with diffusers' names (prompt_embeds, ...)")
      ->type_name("NAME.safetensors")
      ->group("Output")
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeLast);
  app.add_flag("--json", options->json, "print file, times and memory as JSON on standard output")->group("Output");
  app.footer(
      "tempera generate --prompt-embeds FILE gives the same pictures without opening a text encoder. The model's "
      "folder "
      "then needs no weights of text encoders. The file also has the embeddings of the negative prompt.");
  return [options] { return run(*options); };
}

}  // namespace tempera::cli
