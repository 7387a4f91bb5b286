#include "sampling/config.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>
#include <utility>

#include "base/error.h"
#include "base/json.h"
#include "sampling/sampler.h"

namespace tempera {
namespace {
using nlohmann::json;

// ---- Reading one value: the key, where its value goes, and the name of the file for messages. Absent and null keep
// the default of the class.
struct Source {
  const json& object;
  std::string_view key;
  std::string_view what;
};

[[noreturn]] void unsupported(const Source& source, std::string_view value, std::string_view remedy) {
  constexpr size_t kLongest = 100;
  fail(ErrorCode::bad_file, "'{}': {} '{}' is not supported; {}", source.what, source.key, value.substr(0, kLongest),
       remedy);
}

template <bool SchedulerConfig::*member>
void boolean(const Source& source, SchedulerConfig& config) {
  config.*member = find_bool(source.object, source.key, source.what).value_or(config.*member);
}

template <std::string SchedulerConfig::*member>
void text(const Source& source, SchedulerConfig& config) {
  constexpr size_t kLongest = 100;
  config.*member = find_string(source.object, source.key, source.what).value_or(config.*member).substr(0, kLongest);
}

template <int SchedulerConfig::*member, int min, int max>
void integer(const Source& source, SchedulerConfig& config) {
  const auto value = find_int(source.object, source.key, {min, max}, source.what);
  if (value) config.*member = static_cast<int>(*value);
}

template <double SchedulerConfig::*member>
void number(const Source& source, SchedulerConfig& config) {
  config.*member = find_number(source.object, source.key, source.what).value_or(config.*member);
}

// A value of an enumeration by its name.
template <auto member, class Value, size_t n>
void choice(const Source& source, SchedulerConfig& config,
            const std::array<std::pair<std::string_view, Value>, n>& choices) {
  const auto name = find_string(source.object, source.key, source.what);
  if (!name) return;
  std::string names;
  for (const auto& [candidate, value] : choices) {
    if (candidate == *name) {
      config.*member = value;
      return;
    }
    names += (names.empty() ? "" : ", ") + std::string(candidate);
  }
  unsupported(source, *name, "choose from: " + names);
}

void beta_schedule(const Source& source, SchedulerConfig& config) {
  using enum BetaSchedule;
  choice<&SchedulerConfig::beta_schedule>(
      source, config,
      std::to_array<std::pair<std::string_view, BetaSchedule>>(
          {{"linear", linear}, {"scaled_linear", scaled_linear}, {"squaredcos_cap_v2", squaredcos_cap_v2}}));
}

void prediction_type(const Source& source, SchedulerConfig& config) {
  using enum PredictionType;
  choice<&SchedulerConfig::prediction_type>(
      source, config,
      std::to_array<std::pair<std::string_view, PredictionType>>(
          {{"epsilon", epsilon}, {"v_prediction", v_prediction}, {"sample", sample}}));
}

void timestep_spacing(const Source& source, SchedulerConfig& config) {
  using enum TimestepSpacing;
  choice<&SchedulerConfig::timestep_spacing>(
      source, config,
      std::to_array<std::pair<std::string_view, TimestepSpacing>>(
          {{"linspace", linspace}, {"leading", leading}, {"trailing", trailing}}));
}

void final_sigmas_type(const Source& source, SchedulerConfig& config) {
  choice<&SchedulerConfig::final_sigmas_type>(
      source, config,
      std::to_array<std::pair<std::string_view, FinalSigmas>>(
          {{"zero", FinalSigmas::zero}, {"sigma_min", FinalSigmas::sigma_min}}));
}

void interpolation_type(const Source& source, SchedulerConfig& config) {
  choice<&SchedulerConfig::interpolation_type>(
      source, config,
      std::to_array<std::pair<std::string_view, Interpolation>>(
          {{"linear", Interpolation::linear}, {"log_linear", Interpolation::log_linear}}));
}

void sigma_schedule(const Source& source, SchedulerConfig& config) {
  choice<&SchedulerConfig::sigma_schedule>(
      source, config,
      std::to_array<std::pair<std::string_view, SigmaSchedule>>(
          {{"karras", SigmaSchedule::karras}, {"exponential", SigmaSchedule::exponential}}));
}

void timestep_type(const Source& source, SchedulerConfig& config) {
  choice<&SchedulerConfig::continuous_timesteps>(
      source, config, std::to_array<std::pair<std::string_view, bool>>({{"discrete", false}, {"continuous", true}}));
}

void trained_betas(const Source& source, SchedulerConfig& config) {
  const auto at = source.object.find(source.key);
  if (at == source.object.end() || at->is_null()) return;
  const auto is_number = [](const json& value) { return value.is_number(); };
  if (!at->is_array() || !std::all_of(at->begin(), at->end(), is_number)) {
    fail(ErrorCode::bad_file, "'{}': {} must be a list of numbers", source.what, source.key);
  }
  if (at->size() != static_cast<size_t>(config.num_train_timesteps)) {
    fail(ErrorCode::bad_file, "'{}': {} has {} values, but num_train_timesteps is {}", source.what, source.key,
         at->size(), config.num_train_timesteps);
  }
  for (const json& beta : *at) config.trained_betas.push_back(beta.get<double>());
}

template <std::optional<double> SchedulerConfig::*member>
void positive_number(const Source& source, SchedulerConfig& config) {
  const auto value = find_number(source.object, source.key, source.what);
  if (value && !(*value > 0)) fail(ErrorCode::bad_file, "'{}': {} must be positive", source.what, source.key);
  config.*member = value;
}

// quote_infinities() has made a string of the value that Python writes as -Infinity.
void lambda_min_clipped(const Source& source, SchedulerConfig& config) {
  const auto at = source.object.find(source.key);
  if (at != source.object.end() && at->is_string() && *at == "-Infinity") return;
  number<&SchedulerConfig::lambda_min_clipped>(source, config);
}

void disable_corrector(const Source& source, SchedulerConfig& config) {
  const auto steps = find_ints(source.object, source.key, {0, ScheduleOptions::kMaxSteps}, source.what);
  if (steps) config.disable_corrector.assign(steps->begin(), steps->end());
}

// With its two numbers, which mean nothing without it.
void thresholding(const Source& source, SchedulerConfig& config) {
  boolean<&SchedulerConfig::thresholding>(source, config);
  number<&SchedulerConfig::dynamic_thresholding_ratio>({source.object, "dynamic_thresholding_ratio", source.what},
                                                       config);
  number<&SchedulerConfig::sample_max_value>({source.object, "sample_max_value", source.what}, config);
  if (!(config.dynamic_thresholding_ratio >= 0 && config.dynamic_thresholding_ratio <= 1)) {
    fail(ErrorCode::bad_file, "'{}': dynamic_thresholding_ratio must be between 0 and 1", source.what);
  }
  if (!(config.sample_max_value > 0)) {
    fail(ErrorCode::bad_file, "'{}': sample_max_value must be positive", source.what);
  }
}

// ---- What belongs to another kind of model.
void must_be_false(const Source& source, SchedulerConfig& /*config*/) {
  const bool clips = source.key == "clip_sample";
  // DDIM, DDPM and LCM differ in their default.
  const auto value = find_bool(source.object, source.key, source.what);
  if (value.value_or(false)) {
    unsupported(source, "true", clips ? "latents are not clipped; set it to false" : "set it to false");
  }
}

void clip_sample(const Source& source, SchedulerConfig& config) {
  const bool has_key = source.object.contains(source.key);
  const bool clips_by_default = config.class_name == "DDIMScheduler" || config.class_name == "DDPMScheduler";
  if (!has_key && clips_by_default) {
    fail(ErrorCode::bad_file,
         "'{}': {} clips samples unless clip_sample is false, which latents do not survive; add "
         "\"clip_sample\": false",
         source.what, config.class_name);
  }
  must_be_false(source, config);
}

void must_be_null(const Source& source, SchedulerConfig& /*config*/) {
  const auto at = source.object.find(source.key);
  if (at == source.object.end() || at->is_null()) return;
  unsupported(source, at->is_string() ? at->get<std::string>() : std::string(at->type_name()), "remove it");
}

void variance_type(const Source& source, SchedulerConfig& config) {
  // The solvers accept it for models that also predict a variance. DDPM selects its own variance by it.
  if (config.variance_type.empty()) return must_be_null(source, config);
  text<&SchedulerConfig::variance_type>(source, config);
}

// ---- The keys.
struct Field {
  std::string_view key;
  void (*read)(const Source&, SchedulerConfig&);
};

using C = SchedulerConfig;

// Known to every class. num_train_timesteps first: trained_betas is checked against it.
constexpr std::array kCommonFields = {
    Field{"num_train_timesteps", integer<&C::num_train_timesteps, 1, C::kMaxTrainTimesteps>},
    Field{"beta_start", number<&C::beta_start>},
    Field{"beta_end", number<&C::beta_end>},
    Field{"beta_schedule", beta_schedule},
    Field{"trained_betas", trained_betas},
    Field{"prediction_type", prediction_type},
};

// Known to the classes that list them in their Sampler::keys.
constexpr std::array kFields = {
    Field{"algorithm_type", text<&C::algorithm_type>},
    Field{"clip_sample", clip_sample},
    Field{"corrector_order", integer<&C::corrector_order, 1, 4>},
    Field{"disable_corrector", disable_corrector},
    Field{"euler_at_final", boolean<&C::euler_at_final>},
    Field{"final_sigmas_type", final_sigmas_type},
    Field{"interpolation_type", interpolation_type},
    Field{"lambda_min_clipped", lambda_min_clipped},
    Field{"lower_order_final", boolean<&C::lower_order_final>},
    Field{"original_inference_steps", integer<&C::original_inference_steps, 1, C::kMaxTrainTimesteps>},
    Field{"predict_x0", boolean<&C::predict_x0>},
    Field{"predictor_order", integer<&C::predictor_order, 1, 4>},
    Field{"rescale_betas_zero_snr", boolean<&C::rescale_betas_zero_snr>},
    Field{"set_alpha_to_one", boolean<&C::set_alpha_to_one>},
    Field{"rho", number<&C::rho>},
    Field{"sigma_data", number<&C::sigma_data>},
    Field{"sigma_max", positive_number<&C::sigma_max>},
    Field{"sigma_min", positive_number<&C::sigma_min>},
    Field{"sigma_schedule", sigma_schedule},
    Field{"skip_prk_steps", boolean<&C::skip_prk_steps>},
    Field{"solver_order", integer<&C::solver_order, 1, 3>},
    Field{"solver_p", must_be_null},
    Field{"solver_type", text<&C::solver_type>},
    Field{"steps_offset", integer<&C::steps_offset, 0, C::kMaxTrainTimesteps>},
    Field{"tau_func", must_be_null},
    Field{"thresholding", thresholding},
    Field{"timestep_scaling", number<&C::timestep_scaling>},
    Field{"timestep_spacing", timestep_spacing},
    Field{"timestep_type", timestep_type},
    Field{"use_beta_sigmas", boolean<&C::use_beta_sigmas>},
    Field{"use_exponential_sigmas", boolean<&C::use_exponential_sigmas>},
    Field{"use_flow_sigmas", must_be_false},
    Field{"use_karras_sigmas", boolean<&C::use_karras_sigmas>},
    Field{"use_lu_lambdas", boolean<&C::use_lu_lambdas>},
    Field{"variance_type", variance_type},
};

// Python writes infinities as bare words, which no JSON parser reads; diffusers' lambda_min_clipped is one by default.
// Words outside strings are put in quotes.
std::string quote_infinities(std::string_view text) {
  constexpr std::array<std::string_view, 3> kWords = {"-Infinity", "Infinity", "NaN"};
  std::string result;
  bool in_string = false;
  for (size_t i = 0; i < text.size();) {
    const auto word = std::find_if(kWords.begin(), kWords.end(),
                                   [&](std::string_view candidate) { return text.substr(i).starts_with(candidate); });
    if (!in_string && word != kWords.end()) {
      result += '"' + std::string(*word) + '"';
      i += word->size();
      continue;
    }
    if (text[i] == '"') in_string = !in_string;
    const size_t length = in_string && text[i] == '\\' ? 2 : 1;  // an escaped quote does not end the string
    result += text.substr(i, length);
    i += length;
  }
  return result;
}

}  // namespace

json parse_scheduler_json(std::string_view text, std::string_view what) {
  return parse_json(quote_infinities(text), what, {.max_elements = C::kMaxTrainTimesteps});
}

SchedulerConfig parse_scheduler_config(std::string_view text, std::string_view what) {
  const json object = parse_scheduler_json(text, what);
  const Sampler& sampler = find_sampler(get_string(object, "_class_name", what));
  SchedulerConfig config = defaults_of(sampler);
  for (const Field& field : kCommonFields) field.read({object, field.key, what}, config);
  for (const Field& field : kFields) {
    if (knows(sampler, field.key)) field.read({object, field.key, what}, config);
  }
  return config;
}

std::string compact_scheduler_config(std::string_view text, std::string_view what) {
  const json object = parse_scheduler_json(text, what);
  const Sampler& sampler = find_sampler(get_string(object, "_class_name", what));
  json kept = {{"_class_name", sampler.class_name}};
  for (const auto& [key, value] : object.items()) {
    const bool common = std::any_of(kCommonFields.begin(), kCommonFields.end(),
                                    [&, &name = key](const Field& field) { return field.key == name; });
    if (common || knows(sampler, key)) kept[key] = value;
  }
  return kept.dump();
}

SchedulerConfig parse_model_levels(std::string_view text, std::string_view what) {
  SchedulerConfig config = scheduler_config("euler");
  config.class_name.clear();
  if (text.empty()) return config;
  const json object = parse_scheduler_json(text, what);
  const auto name = find_string(object, "_class_name", what);
  const auto all = samplers();
  const auto known = std::find_if(all.begin(), all.end(), [&](const Sampler* s) { return s->class_name == name; });
  if (known != all.end()) config = defaults_of(**known);
  config.class_name = name.value_or("").substr(0, 100);
  for (const Field& field : kCommonFields) field.read({object, field.key, what}, config);
  boolean<&C::rescale_betas_zero_snr>({object, "rescale_betas_zero_snr", what}, config);
  return config;
}

}  // namespace tempera
