// What a sampler is asked to be: diffusers' scheduler_config.json as a plain struct, and the named presets. A class of
// diffusers knows only some of the keys, and keys it does not know have no effect there; so a config read for a class
// keeps the neutral defaults below in every field that the class does not know.
#pragma once

#include <limits>
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

struct SchedulerConfig {
  static constexpr int kMaxTrainTimesteps = 10000;

  std::string class_name = {};  // "EulerDiscreteScheduler": decides the sampler

  // The noise levels the model was trained on.
  int num_train_timesteps = 1000;  // 1 to kMaxTrainTimesteps
  double beta_start = 0.0001;
  double beta_end = 0.02;
  BetaSchedule beta_schedule = BetaSchedule::linear;
  std::vector<double> trained_betas = {};  // when not empty, num_train_timesteps values instead of a beta_schedule
  bool rescale_betas_zero_snr = false;
  PredictionType prediction_type = PredictionType::epsilon;

  // Which of them are visited.
  TimestepSpacing timestep_spacing = TimestepSpacing::linspace;
  int steps_offset = 0;
  bool use_karras_sigmas = false;
  bool use_exponential_sigmas = false;
  bool use_beta_sigmas = false;
  bool use_lu_lambdas = false;
  std::optional<double> sigma_min = {}, sigma_max = {};  // ends of the Karras, exponential and beta spacings
  FinalSigmas final_sigmas_type = FinalSigmas::zero;
  Interpolation interpolation_type = Interpolation::linear;
  bool continuous_timesteps = false;  // timestep_type "continuous": the model is told log(sigma) / 4
  double lambda_min_clipped = -std::numeric_limits<double>::infinity();
  int original_inference_steps = 50;

  // How one gets from one to the next.
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

  bool operator==(const SchedulerConfig&) const = default;
};

// Reads the text of a scheduler_config.json; `what` names it in messages. Missing keys have the defaults of the class
// in diffusers, unknown keys are ignored. Throws Error(bad_file) for text that is no JSON, values of a wrong type or
// out of range, an unknown class, and for values that are not supported (thresholding, sample clipping, flow matching).
SchedulerConfig parse_scheduler_config(std::string_view json, std::string_view what = "scheduler_config.json");

// The presets: "euler", "euler_trailing", ..., "tcd", in the order of the documentation.
std::vector<std::string_view> scheduler_names();

// A preset as it is: SDXL's noise levels (scaled_linear from 0.00085 to 0.012 over 1000 timesteps) and epsilon
// prediction ("euler_vpred": v prediction with zero terminal SNR). Throws Error(invalid_argument) listing the names.
SchedulerConfig scheduler_config(std::string_view name);

// The preset for a certain model: what belongs to the model rather than to the sampler (num_train_timesteps, the betas,
// rescale_betas_zero_snr where the preset's class knows it, prediction_type) is the model's where the model differs
// from plain SDXL, so that a v-prediction model stays one; everything else is the preset's.
SchedulerConfig scheduler_config(std::string_view name, const SchedulerConfig& model);

}  // namespace tempera
