// use_settings(): a request from the settings of a picture and the values that replace them.
#include <algorithm>
#include <array>
#include <functional>
#include <initializer_list>

#include "base/error.h"
#include "pipeline/settings_files.h"
#include "tempera/settings.h"

namespace tempera {
namespace {

// A given field, and fields of the picture that it replaces in addition to itself: they would contradict it.
struct Replaced {
  std::string_view given;
  std::array<std::string_view, 6> fields;
};
constexpr std::array kReplaced = {
    Replaced{"prompt", {"prompt_embeds"}},
    Replaced{"prompt_embeds",
             {"prompt", "prompt_2", "negative_prompt", "negative_prompt_2", "clip_skip", "textual_inversion"}},
    Replaced{"num_inference_steps", {"timesteps", "sigmas"}},
    Replaced{"timesteps", {"num_inference_steps", "sigmas"}},
    Replaced{"sigmas", {"num_inference_steps", "timesteps"}},
    Replaced{"scheduler", {"scheduler_config", "schedule"}},
    Replaced{"scheduler_config", {"scheduler", "schedule"}},
    Replaced{"init_image", {"latents"}},
    Replaced{"latents", {"init_image", "mask_image"}},
    Replaced{"hires_scale", {"hires_size"}},
    Replaced{"hires_size", {"hires_scale"}},
    Replaced{"model", {"model_config", "tokenizer", "variant"}},
    Replaced{"vae", {"tiny_vae"}},
    Replaced{"tiny_vae", {"vae"}},
};

bool replaces(std::string_view given, std::string_view field) {
  if (given == field) return true;
  const auto row = std::ranges::find(kReplaced, given, &Replaced::given);
  return row != kReplaced.end() && std::ranges::find(row->fields, field) != row->fields.end();
}

void set(const FieldText& value, Request& request, EngineOptions& engine) {
  for (const Field& field : request_fields())
    if (field.name == value.field) return field.set(request, engine, value.text);
  fail(ErrorCode::invalid_argument, "there is no field '{}': give a name of request_fields()", value.field);
}

// Field::set adds to fields that repeat.
void clear_repeated(const std::function<bool(std::string_view field)>& from_picture, Request& request) {
  for (const auto& [field, values] : {std::pair("lora", &request.lora),
                                      {"textual_inversion", &request.textual_inversion},
                                      {"init_image", &request.init_image},
                                      {"mask_image", &request.mask_image}})
    if (from_picture(field)) values->clear();
}

void report(const PictureSettings& settings, const std::filesystem::path& picture, const LogSink& log) {
  if (!log) return;
  for (const std::string& remark : settings.remarks)
    log(LogLevel::warning, fmt::format("'{}': {}", picture.string(), remark));
  std::string unused;
  for (const auto& [name, value] : settings.unused)
    unused += fmt::format("{}{}: {}", unused.empty() ? "" : ", ", name, value);
  constexpr size_t kLongest = 300;
  if (unused.size() > kLongest) unused = unused.substr(0, kLongest) + "...";
  if (!unused.empty())
    log(LogLevel::warning, fmt::format("'{}' has settings that have no place here: {}", picture.string(), unused));
}

}  // namespace

void use_settings(const PictureSettings& settings, const std::filesystem::path& picture,
                  std::span<const FieldText> overrides, Request& request, EngineOptions& engine, const LogSink& log) {
  const auto from_picture = [&settings, overrides](std::string_view field) {
    const auto named = [field](const FieldText& value) { return value.field == field; };
    const auto replaced = [field](const FieldText& given) { return replaces(given.field, field); };
    return std::ranges::any_of(settings.fields, named) && std::ranges::none_of(overrides, replaced);
  };
  clear_repeated(from_picture, request);
  for (const FieldText& value : settings.fields) {
    if (!from_picture(value.field)) continue;
    try {
      set(value, request, engine);
    } catch (const Error& error) {
      fail(error.code(), "the settings in '{}' cannot be used: {}", picture.string(), error.message());
    }
  }
  for (const FieldText& value : overrides) set(value, request, engine);
  report(settings, picture, log);
  find_settings_files(settings, picture, from_picture, request, engine);
}

}  // namespace tempera
