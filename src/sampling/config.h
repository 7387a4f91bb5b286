// The configuration of a sampler: diffusers' scheduler_config.json as a plain struct, and the named presets. A class of
// diffusers uses only some of the keys and ignores the others. So a config for a class has the neutral defaults below
// in every field that the class does not use.
#pragma once

#include <limits>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace tempera {

enum class BetaSchedule { linear, scaled_linear, squaredcos_cap_v2 };
enum class PredictionType { epsilon, v_prediction, sample };
enum class TimestepSpacing { linspace, leading, trailing };
enum class FinalSigmas { zero, sigma_min };
enum class Interpolation { linear, log_linear };
enum class SigmaSchedule { karras, exponential };  // of EDM's schedulers

// Spacings of the sigmas that diffusers does not have, by ComfyUI's definitions (schedule_types.h). `none`: the spacing
// of the other keys.
enum class ScheduleType { none, normal, simple, sgm_uniform, ddim_uniform, beta, kl_optimal, align_your_steps };

struct SchedulerConfig {
  static constexpr int kMaxTrainTimesteps = 10000;

  std::string class_name = {};  // "EulerDiscreteScheduler": decides the sampler

  // The noise levels of the model's training.
  int num_train_timesteps = 1000;  // 1 to kMaxTrainTimesteps
  double beta_start = 0.0001;
  double beta_end = 0.02;
  BetaSchedule beta_schedule = BetaSchedule::linear;
  std::vector<double> trained_betas = {};  // when not empty, num_train_timesteps values instead of a beta_schedule
  bool rescale_betas_zero_snr = false;
  PredictionType prediction_type = PredictionType::epsilon;

  // The levels that the sampler visits.
  TimestepSpacing timestep_spacing = TimestepSpacing::linspace;
  int steps_offset = 0;
  bool use_karras_sigmas = false;
  bool use_exponential_sigmas = false;
  bool use_beta_sigmas = false;
  bool use_lu_lambdas = false;
  std::optional<double> sigma_min = {}, sigma_max = {};  // ends of the Karras, exponential and beta spacings
  FinalSigmas final_sigmas_type = FinalSigmas::zero;
  Interpolation interpolation_type = Interpolation::linear;
  bool continuous_timesteps = false;  // timestep_type "continuous": the model's input is log(sigma) / 4
  double lambda_min_clipped = -std::numeric_limits<double>::infinity();
  int original_inference_steps = 50;
  ScheduleType schedule_type = ScheduleType::none;  // never in a file: names set it
  SigmaSchedule sigma_schedule = SigmaSchedule::karras;
  double rho = 7.0;  // of EDM's Karras spacing

  // The step from one level to the next.
  int solver_order = 2;
  std::string algorithm_type = {};
  std::string solver_type = {};
  std::string variance_type = {};
  bool lower_order_final = true;
  bool euler_at_final = false;
  bool predict_x0 = true;
  std::vector<int> disable_corrector = {};
  bool skip_prk_steps = false;
  bool set_alpha_to_one = true;
  double timestep_scaling = 10.0;
  int predictor_order = 2, corrector_order = 2;  // SA-Solver
  double sigma_data = 0.5;                       // EDM: standard deviation of the training data

  // Dynamic thresholding of the predicted picture: see Threshold in schedule.h.
  bool thresholding = false;
  double dynamic_thresholding_ratio = 0.995;
  double sample_max_value = 1.0;

  bool operator==(const SchedulerConfig&) const = default;
};

// Reads the text of a scheduler_config.json. `what` names it in messages. Missing keys have the defaults of the class
// in diffusers, unknown keys are ignored. Throws Error(bad_file) for invalid JSON, values of a wrong type or out of
// range, an unknown class, and unsupported values (sample clipping, flow matching).
SchedulerConfig parse_scheduler_config(std::string_view json, std::string_view what = "scheduler_config.json");

// The same configuration in one line, without the keys that the sampler does not read. Throws as
// parse_scheduler_config.
std::string compact_scheduler_config(std::string_view json, std::string_view what);

// Only the values that belong to the model, for another sampler than the model's own: num_train_timesteps, the betas,
// prediction_type and rescale_betas_zero_snr. So an unknown class and its unsupported values are no errors. An absent
// value is plain SDXL's if the class is unknown, else the default of the class. Empty JSON: plain SDXL's values.
// class_name is that of the file, "" if there is none.
SchedulerConfig parse_model_levels(std::string_view json, std::string_view what);

// The text as JSON, with infinities, which diffusers writes as bare words, in quotes. Throws Error(bad_file) for
// invalid JSON.
nlohmann::json parse_scheduler_json(std::string_view text, std::string_view what);

// The presets: "euler", "euler_trailing", ..., "tcd", in the order of the documentation.
std::vector<std::string_view> scheduler_names();

// A preset without a model, by any name that names.h describes: SDXL's noise levels (scaled_linear from 0.00085 to
// 0.012 over 1000 timesteps) and epsilon prediction ("euler_vpred": v prediction with zero terminal SNR). Throws
// Error(invalid_argument) with the nearest names and a list of all.
SchedulerConfig scheduler_config(std::string_view name);

// The preset for a certain model. Values that belong to the model (num_train_timesteps, the betas, prediction_type, and
// rescale_betas_zero_snr if the preset's class has it) are the model's if they differ from plain SDXL, so that a
// v-prediction model stays one. All other values are the preset's.
SchedulerConfig scheduler_config(std::string_view name, const SchedulerConfig& model);

}  // namespace tempera
