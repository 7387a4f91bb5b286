#include "fields.h"

#include <fmt/format.h>

#include <CLI/App.hpp>
#include <algorithm>
#include <string>

#include "help.h"
#include "tempera/error.h"

namespace tempera::cli {
namespace {

// "num_inference_steps": "--num-inference-steps".
std::string with_dashes(std::string_view name) {
  std::string flag = "--" + std::string(name);
  std::replace(flag.begin(), flag.end(), '_', '-');
  return flag;
}

// An addition of this program's commands to the library's text of a field; mostly nothing.
std::string_view hint_for(std::string_view name) {
  return name == "prompt_embeds" ? " (tempera encode writes such files)" : "";
}

// "--steps,--num-inference-steps", and "prompt,--prompt".
std::string names_of(const Field& field) {
  const std::string diffusers = with_dashes(field.name);
  std::string names(field.flag);
  if (diffusers != names) names += "," + diffusers;
  return field.name == "prompt" ? "prompt," + names : names;
}

// Replaces fields in backquotes by their flags.
std::string with_flags(std::string_view text) {
  std::string result;
  while (!text.empty()) {
    const size_t begin = text.find('`'), end = begin == text.npos ? begin : text.find('`', begin + 1);
    if (end == text.npos) return result.append(text);
    result.append(text.substr(0, begin)).append(flag_of(text.substr(begin + 1, end - begin - 1)));
    text.remove_prefix(end + 1);
  }
  return result;
}

// "number of pictures (default 1)".
std::string help_of(const Field& field) {
  std::string help = with_flags(field.help).append(hint_for(field.name));
  const std::optional<std::string> usual = field.get(Request(), EngineOptions());
  const bool said = help.find("(default") != std::string::npos;
  if (usual && !usual->empty() && !said) help += fmt::format(" (default {})", *usual);
  return help;
}

// Without this, "--prompt --steps 4" would parse "--steps" as the prompt.
void refuse_flag_as_value(const CLI::App& app, const Field& field, const std::string& value) {
  if (!value.starts_with("--") || app.get_option_no_throw(value) == nullptr) return;
  throw Error(ErrorCode::invalid_argument,
              fmt::format("{} needs a value ({}), but the option {} follows it (see {} --help)", field.flag,
                          field.placeholder, value, command_name(app)));
}

void set_given(Inputs& inputs, const Field& field, const std::string& value) {
  field.set(inputs.request, inputs.engine, value);
  inputs.given.push_back({std::string(field.name), value});
}

}  // namespace

bool Inputs::gives(std::string_view field) const {
  return std::ranges::any_of(given, [field](const FieldText& value) { return value.field == field; });
}

std::string flag_of(std::string_view name) {
  const std::span<const Field> fields = request_fields();
  const auto field = std::find_if(fields.begin(), fields.end(), [name](const Field& f) { return f.name == name; });
  return field == fields.end() ? with_dashes(name) : std::string(field->flag);
}

std::string message_of(const Error& error) {
  std::string_view hint;
  const auto spell = [&hint](std::string_view name) {
    if (hint.empty()) hint = hint_for(name);
    return flag_of(name);
  };
  return spelled(error.message(), spell).append(hint);
}

void add_fields(CLI::App& app, Inputs& inputs, const std::function<bool(const Field&)>& wanted) {
  for (const Field& field : request_fields()) {
    if (!wanted(field)) continue;
    const char* group = field.group == FieldGroup::request ? "Picture" : "Engine";
    if (field.placeholder.empty()) {
      app.add_flag_function(
             names_of(field),
             [&field, &inputs](int64_t count) { set_given(inputs, field, count > 0 ? "true" : "false"); },
             help_of(field))
          ->group(group);
      continue;
    }
    const auto set = [&app, &field, &inputs](const CLI::results_t& values) {
      // One value, except of a field that repeats: newer CLI11 appends a mark to the text "{}", because it means an
      // empty list there.
      const size_t count = field.has(FieldTrait::repeats) ? values.size() : 1;
      for (size_t i = 0; i < count; ++i) {
        refuse_flag_as_value(app, field, values[i]);
        set_given(inputs, field, values[i]);
      }
      return true;
    };
    CLI::Option* option = app.add_option(names_of(field), set, help_of(field));
    option->type_name(std::string(field.placeholder))->group(group);
    // The last of several counts, so that a script can append to a command. Two prompts are a mistake.
    if (field.has(FieldTrait::repeats))
      option->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
    else if (field.name != "prompt")
      option->multi_option_policy(CLI::MultiOptionPolicy::TakeLast);
  }
}

}  // namespace tempera::cli
