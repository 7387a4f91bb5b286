// tempera models: the list of models, and the commands about one of them.
#include <fmt/format.h>

#include <CLI/App.hpp>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>

#include "background_hash.h"
#include "commands.h"
#include "console.h"
#include "fields.h"
#include "interrupt.h"
#include "json_text.h"
#include "models_output.h"
#include "progress_bar.h"
#include "tempera/models.h"

namespace tempera::cli {
namespace {

struct Options {
  Inputs inputs;
  std::string name;       // of the commands about one model
  std::string hash_file;  // by start_background_hash
  bool json = false, hash = false;
};

// The fields that say where models are.
bool names_folders(const Field& field) {
  return field.name == "models_dir" || field.name == "import_paths";
}

ModelCallbacks callbacks_for(ProgressBar& bar, const char* what) {
  catch_interrupts();
  const auto progress = [&bar, what](uint64_t done, uint64_t total) {
    bar.update(what, static_cast<double>(done), static_cast<double>(total), "B");
  };
  return {progress, interrupted};
}

int run_list(const Options& options) {
  if (!options.hash_file.empty()) return run_background_hash(options.hash_file);
  std::vector<ModelEntry> models = list_models(options.inputs.engine);
  if (options.hash) {
    ProgressBar bar(stderr);
    for (ModelEntry& model : models)
      if (model.sha256.empty() && std::filesystem::is_regular_file(model.path))
        model.sha256 = model_hash(model.path, callbacks_for(bar, "hash"));
    bar.clear();
  }
  print_out(options.json ? json_text(models_json(models)) : models_table(models));
  return 0;
}

int run_info(const Options& options) {
  const ModelEntry model = describe_model(options.inputs.engine, options.name);
  print_out(options.json ? json_text(model_json(model)) : model_text(model));
  return 0;
}

int run_verify(const Options& options) {
  constexpr int kFaulty = 2;
  ProgressBar bar(stderr);
  const ModelCheck check = verify_model(options.inputs.engine, options.name, callbacks_for(bar, "verify"));
  bar.clear();
  print_out(options.json ? json_text(check_json(check)) : check_text(check));
  return check.good() ? 0 : kFaulty;
}

std::shared_ptr<Options> add_name_and_json(CLI::App& app) {
  auto options = std::make_shared<Options>();
  app.add_option("name", options->name, "a name in the list, or anything else that --model accepts")
      ->type_name("NAME")
      ->required();
  app.add_flag("--json", options->json, "the same information as JSON")->group("Output");
  return options;
}

Run add_models_info(CLI::App& app) {
  auto options = add_name_and_json(app);
  add_fields(app, options->inputs, names_folders);
  return [options] { return run_info(*options); };
}

Run add_models_verify(CLI::App& app) {
  auto options = add_name_and_json(app);
  add_fields(app, options->inputs,
             [](const Field& field) { return field.has(FieldTrait::opens_model) && field.name != "model"; });
  app.footer("Exit status: 0 the model is complete and sound, 2 it has faults.");
  return [options] { return run_verify(*options); };
}

}  // namespace

Run add_models(CLI::App& app) {
  auto commands = std::make_shared<Commands>();
  auto options = std::make_shared<Options>();
  app.require_subcommand(0, 1);
  add_command(app, *commands, "info", "show one model with its metadata", add_models_info);
  add_command(app, *commands, "verify", "read a whole model and check its hash, shapes and elements (NaN, infinite)",
              add_models_verify);
  add_fields(app, options->inputs, names_folders);
  app.add_flag("--hash", options->hash, "compute the hashes that are not known yet")->group("Output");
  app.add_flag("--json", options->json, "the list as JSON")->group("Output");
  app.add_option("--hash-file", options->hash_file, "compute the hash of this file")->group("");
  app.footer("Without a command, tempera models lists all models in the model folders and in the Hugging Face cache.");
  return [&app, options, commands] {
    return parsed_command(app) == nullptr ? run_list(*options) : run_parsed_command(app, *commands);
  };
}

}  // namespace tempera::cli
