#include "source/marks.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <utility>
#include <vector>

#include "base/error.h"
#include "sampling/config.h"
#include "source/classify.h"

namespace tempera {
namespace {

using nlohmann::json;

std::vector<double> read_numbers(const Checkpoint& file, std::string_view name, int count) {
  const CheckpointTensor tensor = file.get(name);
  const DType type = tensor.dtype;
  if (tensor.elements() != count || (type != DType::f32 && type != DType::f16 && type != DType::bf16)) {
    fail(ErrorCode::bad_file, "the tensor {} has the shape {}, must hold {} floating-point numbers", file.origin(name),
         dims_to_string(tensor.dims), count);
  }
  const std::vector<float> numbers = tensor.floats();
  return {numbers.begin(), numbers.end()};
}

// A number as short as it was meant: 0.002 and not 0.0020000000949949026, the double of that float.
double sigma(const Checkpoint& file, const char* name, double otherwise) {
  if (!file.find(name)) return otherwise;
  const double stored = read_numbers(file, name, 1)[0];
  if (!(stored > 0 && stored <= 1e6))
    fail(ErrorCode::bad_file, "the tensor {} is {}, must be above 0 and at most 1e6", file.origin(name), stored);
  return std::stod(fmt::format("{}", static_cast<float>(stored)));
}

// diffusers _legacy_load_scheduler.
json playground_scheduler() {
  return {{"_class_name", "EDMDPMSolverMultistepScheduler"},
          {"algorithm_type", "dpmsolver++"},
          {"final_sigmas_type", "zero"},
          {"lower_order_final", true},
          {"num_train_timesteps", 1000},
          {"prediction_type", "epsilon"},
          {"rho", 7.0},
          {"sigma_data", 0.5},
          {"sigma_max", 80.0},
          {"sigma_min", 0.002},
          {"solver_order", 2},
          {"solver_type", "midpoint"}};
}

// Published with the model: v prediction over continuous EDM noise levels.
json cosxl_scheduler(const Checkpoint& file) {
  return {{"_class_name", "EDMEulerScheduler"},
          {"num_train_timesteps", 1000},
          {"prediction_type", "v_prediction"},
          {"rho", 7.0},
          {"sigma_data", 1.0},
          {"sigma_max", sigma(file, "edm_vpred.sigma_max", 120)},
          {"sigma_min", sigma(file, "edm_vpred.sigma_min", 0.002)}};
}

bool is_edm(const json& scheduler) {
  const auto name = scheduler.find("_class_name");
  return name != scheduler.end() && name->is_string() && name->get_ref<const std::string&>().starts_with("EDM");
}

}  // namespace

json scheduler_object(const std::string& text) {
  try {
    json scheduler = parse_scheduler_json(text, "scheduler_config.json");
    if (scheduler.is_object()) return scheduler;
  } catch (const Error&) {
    // The sampler of the request may replace it. Otherwise the error is reported where the sampler is chosen.
  }
  return nullptr;
}

std::string with_marks(const std::string& text, const Checkpoint& file, std::string_view what, const LogSink& log) {
  const FileClass marks = classify(file);
  const bool v_prediction = marks.prediction == "v_prediction";
  if (!v_prediction && !marks.zero_terminal_snr && !marks.edm) return text;
  json scheduler = scheduler_object(text);
  if (scheduler.is_null() || is_edm(scheduler)) return text;

  std::string found;
  if (marks.edm) {
    scheduler = v_prediction ? cosxl_scheduler(file) : playground_scheduler();
    found = v_prediction ? "v prediction on an EDM schedule (CosXL)" : "an EDM schedule (Playground 2.5)";
  } else {
    const auto set = [&](const char* key, const json& value, std::string_view name) {
      if (scheduler.contains(key) && scheduler[key] == value) return;
      scheduler[key] = value;
      found += (found.empty() ? "" : " and ") + std::string(name);
    };
    if (v_prediction) set("prediction_type", "v_prediction", "v prediction");
    if (marks.zero_terminal_snr) set("rescale_betas_zero_snr", true, "zero terminal SNR");
  }
  if (!found.empty() && log) log(LogLevel::warning, fmt::format("'{}' is marked for {}, which is used", what, found));
  return scheduler.dump(2);
}

void read_latents(const Checkpoint& file, VaeConfig& vae) {
  if (!file.find("edm_mean") || !vae.latents_mean.empty()) return;
  // diffusers create_vae_diffusers_config_from_ldm
  vae.latents_mean = read_numbers(file, "edm_mean", vae.latent_channels);
  vae.latents_std = read_numbers(file, "edm_std", vae.latent_channels);
  vae.scaling_factor = 0.5;
}

std::string sdxl_scheduler_config() {
  return R"({
  "_class_name": "EulerDiscreteScheduler",
  "beta_end": 0.012,
  "beta_schedule": "scaled_linear",
  "beta_start": 0.00085,
  "interpolation_type": "linear",
  "num_train_timesteps": 1000,
  "prediction_type": "epsilon",
  "rescale_betas_zero_snr": false,
  "steps_offset": 1,
  "timestep_spacing": "leading",
  "use_karras_sigmas": false
})";
}

}  // namespace tempera
