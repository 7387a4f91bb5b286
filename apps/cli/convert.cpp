// tempera convert: a model as a single file, a diffusers folder or GGUF, in other types.
#include "tempera/convert.h"

#include <CLI/App.hpp>
#include <memory>
#include <string>

#include "commands.h"
#include "console.h"
#include "fields.h"
#include "interrupt.h"
#include "progress_bar.h"

namespace tempera::cli {
namespace {

struct Options {
  std::string model, out;
  ConvertOptions convert;
  Inputs inputs;
};

int run(const Options& options) {
  if (options.model.empty() || options.out.empty()) {
    throw Error(ErrorCode::invalid_argument,
                "a model or an output is missing: name both, as in tempera convert model.safetensors folder");
  }
  catch_interrupts();
  ignore_write_signals();
  EngineOptions engine = options.inputs.engine;
  ConvertOptions convert_options = options.convert;
  convert_options.lora = options.inputs.request.lora;
  engine.model = options.model;
  ProgressBar bar(stderr);
  ConvertCallbacks callbacks;
  callbacks.progress = [&bar](uint64_t done, uint64_t total) {
    bar.update("convert", static_cast<double>(done), static_cast<double>(total), "B");
  };
  callbacks.cancelled = interrupted;
  callbacks.log = warnings_to_console(&bar);
  convert(engine, convert_options, options.out, callbacks);
  bar.clear();
  print_out(options.out + "\n");
  return 0;
}

}  // namespace

Run add_convert(CLI::App& app) {
  auto options = std::make_shared<Options>();
  app.add_option(
         "in", options->model,
         "any model that tempera generate --model accepts, or a UNet, an autoencoder or a tiny autoencoder alone")
      ->type_name("IN");
  app.add_option("out", options->out,
                 "NAME.safetensors (original names), NAME.gguf, or else a diffusers folder; must not exist")
      ->type_name("OUT");
  app.add_option("--dtype", options->convert.dtype,
                 "fp16, bf16, fp32; fp8 for the UNet's matrices and convolutions, the rest in fp16; in a .gguf file "
                 "q8_0, q6_k, q5_k, q5_1, q5_0, q4_k, q4_1, q4_0 for the UNet's matrices, the rest in fp16 (default: "
                 "every tensor as it is stored)")
      ->type_name("TYPE")
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeLast);
  add_fields(app, options->inputs, [](const Field& field) {
    return field.name == "lora" ||
           (field.has(FieldTrait::opens_model) && field.name != "model" && field.name != "tiny_vae");
  });
  return [options] { return run(*options); };
}

}  // namespace tempera::cli
