// tempera synth: a model with the names and shapes of a known kind and random weights, for measuring without a
// download.
#include <fmt/ranges.h>

#include <CLI/App.hpp>
#include <limits>
#include <memory>
#include <string>

#include "commands.h"
#include "console.h"
#include "interrupt.h"
#include "number_of.h"
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
                "no output: name a folder or a .safetensors or .gguf file, as in tempera synth --preset sdxl-base OUT");
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
  app.add_option("out", options->out,
                 "single file if it ends in .safetensors or .gguf, else a diffusers folder; must not exist")
      ->type_name("OUT");
  app.add_option("--preset", options->synth.preset,
                 fmt::format("{} (default {})", fmt::join(preset_list(), ", "), defaults.preset))
      ->type_name("NAME")
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeLast);
  app.add_option(
         "--dtype", options->synth.dtype,
         fmt::format(
             "fp16, bf16, fp32; fp8 (or q4_k in a .gguf file) for the UNet, with fp16 for the rest (default {})",
             defaults.dtype))
      ->type_name("TYPE")
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeLast);
  app.add_option_function<std::string>(
         "--seed",
         [options](const std::string& text) {
           options->synth.seed = number_of<uint64_t>("--seed", text, 0, std::numeric_limits<uint64_t>::max());
         },
         fmt::format("seed of the weights (default {})", defaults.seed))
      ->type_name("N")
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeLast);
  return [options] { return run(*options); };
}

}  // namespace tempera::cli
