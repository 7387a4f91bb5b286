// tempera info: the properties of a model or of an adapter, or the settings in a picture.
#include <fmt/format.h>

#include <CLI/App.hpp>
#include <algorithm>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "adapter_output.h"
#include "commands.h"
#include "console.h"
#include "fields.h"
#include "json_text.h"
#include "settings_output.h"
#include "tempera/settings.h"
#include "tempera/tempera.h"
#include "units.h"

namespace tempera::cli {
namespace {

struct Options {
  std::string model;
  Inputs inputs;
  bool json = false;
};

std::string summary_of(const ComponentInfo& component) {
  return component.name == "vae_tiny" ? component.summary + " (--tiny-vae model)" : component.summary;
}

std::string info_table(const ModelInfo& info) {
  std::string text =
      fmt::format("kind        {}\npath        {}\nsize        {}\nscheduler   {}\nprediction  {}\n\n", info.kind,
                  info.path, format_bytes(static_cast<double>(info.file_bytes)), info.scheduler, info.prediction_type);
  size_t width = 12;  // of the types: a file can have many
  for (const ComponentInfo& component : info.components) width = std::max(width, component.dtypes.size() + 2);
  text += fmt::format("{:<16}{:>12}  {:<{}}{}\n", "component", "parameters", "stored as", width, "what");
  for (const ComponentInfo& component : info.components) {
    text +=
        fmt::format("{:<16}{:>12}  {:<{}}{}\n", component.name, format_count(static_cast<double>(component.parameters)),
                    component.dtypes, width, summary_of(component));
  }
  return text;
}

nlohmann::ordered_json info_json(const ModelInfo& info) {
  nlohmann::ordered_json components = nlohmann::ordered_json::array();
  for (const ComponentInfo& component : info.components) {
    components.push_back({{"name", component.name},
                          {"parameters", component.parameters},
                          {"dtypes", component.dtypes},
                          {"summary", component.summary}});
  }
  return {{"kind", info.kind},
          {"path", info.path},
          {"file_bytes", info.file_bytes},
          {"scheduler", info.scheduler},
          {"prediction_type", info.prediction_type},
          {"components", components}};
}

int run(const Options& options) {
  if (is_picture_file(options.model)) {
    const PictureSettings settings = read_settings(options.model);
    print_out(options.json ? json_text(settings_json(settings)) : settings_text(settings));
    return 0;
  }
  EngineOptions engine = options.inputs.engine;
  engine.model = options.model;
  if (const std::optional<AdapterInfo> adapter = adapter_info(engine)) {
    print_out(options.json ? json_text(adapter_json(*adapter)) : adapter_text(*adapter));
    return 0;
  }
  const ModelInfo result = info(engine, warnings_to_console());
  print_out(options.json ? json_text(info_json(result)) : info_table(result));
  return 0;
}

}  // namespace

Run add_info(CLI::App& app) {
  auto options = std::make_shared<Options>();
  app.add_option("model,--model", options->model,
                 "any model that tempera generate --model accepts (default: the one that comes with tempera), or a "
                 "picture, whose settings are shown")
      ->type_name("MODEL")
      ->group("Engine");
  add_fields(app, options->inputs, [](const Field& field) {
    return field.has(FieldTrait::opens_model) && field.name != "model";  // added above
  });
  app.add_flag("--json", options->json, "the same information as JSON")->group("Output");
  return [options] { return run(*options); };
}

}  // namespace tempera::cli
