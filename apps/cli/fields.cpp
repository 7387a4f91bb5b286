#include "fields.h"

#include <fmt/format.h>

#include <CLI/App.hpp>
#include <algorithm>
#include <string>

#include "help.h"
#include "tempera/error.h"

namespace tempera::cli {
namespace {

// "--steps,--num-inference-steps", and "prompt,--prompt".
std::string names_of(const Field& field) {
  std::string diffusers = "--" + std::string(field.name);
  std::replace(diffusers.begin(), diffusers.end(), '_', '-');
  std::string names(field.flag);
  if (diffusers != names) names += "," + diffusers;
  return field.name == "prompt" ? "prompt," + names : names;
}

// "how many pictures (default 1)".
std::string help_of(const Field& field) {
  std::string help(field.help);
  const std::optional<std::string> usual = field.get(Request(), EngineOptions());
  const bool said = help.find("(default") != std::string::npos;
  if (usual && !usual->empty() && !said) help += fmt::format(" (default {})", *usual);
  return help;
}

// "--prompt --steps 4" would take "--steps" for the prompt.
void refuse_flag_as_value(const CLI::App& app, const Field& field, const std::string& value) {
  if (!value.starts_with("--") || app.get_option_no_throw(value) == nullptr) return;
  throw Error(ErrorCode::invalid_argument,
              fmt::format("{} needs a value ({}), but the option {} follows it (see {} --help)", field.flag,
                          field.placeholder, value, command_name(app)));
}

}  // namespace

void add_fields(CLI::App& app, Inputs& inputs, const std::function<bool(const Field&)>& wanted) {
  for (const Field& field : request_fields()) {
    if (!wanted(field)) continue;
    const char* group = field.group == FieldGroup::request ? "Picture" : "Engine";
    if (field.placeholder.empty()) {
      app.add_flag_function(
             names_of(field),
             [&field, &inputs](int64_t count) {
               field.set(inputs.request, inputs.engine, count > 0 ? "true" : "false");
             },
             help_of(field))
          ->group(group);
      continue;
    }
    const auto set = [&app, &field, &inputs](const CLI::results_t& values) {
      // One value; newer CLI11 appends a mark of its own to the text "{}", which is its empty list.
      refuse_flag_as_value(app, field, values.front());
      field.set(inputs.request, inputs.engine, values.front());
      inputs.prompt_given = inputs.prompt_given || field.name == "prompt";
      return true;
    };
    CLI::Option* option = app.add_option(names_of(field), set, help_of(field));
    option->type_name(std::string(field.placeholder))->group(group);
    // The last of several counts, so that a script can append to a command. Two prompts are a mistake.
    if (field.name != "prompt") option->multi_option_policy(CLI::MultiOptionPolicy::TakeLast);
  }
}

}  // namespace tempera::cli
