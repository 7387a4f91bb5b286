// tempera synth: a model of a known kind's names and shapes with random weights, for measuring without a download.
#include <fmt/format.h>

#include <CLI/App.hpp>
#include <memory>
#include <string>

#include "commands.h"
#include "console.h"
#include "interrupt.h"
#include "progress_bar.h"
#include "tempera/tempera.h"

namespace tempera::cli {
namespace {

struct Options {
  SynthOptions synth;
  std::string out;
};

int run(const Options& options) {
  if (options.out.empty()) {
    throw Error(ErrorCode::invalid_argument,
                "no file to write: name a folder or a .safetensors file, as in tempera synth --preset sdxl-base OUT");
  }
  catch_interrupts();
  ignore_write_signals();
  ProgressBar bar(stderr);
  const auto progress = [&bar](size_t done, size_t total) {
    bar.update("write", static_cast<double>(done), static_cast<double>(total), "B");
  };
  synth(options.synth, options.out, progress, interrupted);
  bar.clear();
  print_out(options.out + "\n");
  return 0;
}

}  // namespace

Run add_synth(CLI::App& app) {
  auto options = std::make_shared<Options>();
  const SynthOptions defaults;
  app.add_option("out", options->out, "file ending in .safetensors, or the folder of a diffusers model; must not exist")
      ->type_name("OUT");
  std::string presets;
  for (const std::string_view name : preset_list()) presets += fmt::format("{}{}", presets.empty() ? "" : ", ", name);
  app.add_option("--preset", options->synth.preset, fmt::format("{} (default {})", presets, defaults.preset))
      ->type_name("NAME");
  app.add_option("--dtype", options->synth.dtype, fmt::format("fp16, bf16 or fp32 (default {})", defaults.dtype))
      ->type_name("TYPE");
  app.add_option("--seed", options->synth.seed, fmt::format("of the weights (default {})", defaults.seed))
      ->type_name("N");
  return [options] { return run(*options); };
}

}  // namespace tempera::cli
