// The presets that Request::scheduler names: one line each, in the order of the documentation.
#include <algorithm>
#include <array>
#include <utility>

#include "sampling/config.h"
#include "sampling/names.h"
#include "sampling/sampler.h"

namespace tempera {
namespace {

struct Preset {
  std::string_view name;
  std::string_view class_name;
  TimestepSpacing spacing;
  int steps_offset;
  void (*adjust)(SchedulerConfig&);
};

constexpr auto kLeading = TimestepSpacing::leading;
constexpr auto kTrailing = TimestepSpacing::trailing;
constexpr auto kLinspace = TimestepSpacing::linspace;

void as_is(SchedulerConfig& /*config*/) {}
void karras(SchedulerConfig& config) {
  config.use_karras_sigmas = true;
}
void sde(SchedulerConfig& config) {
  config.algorithm_type = "sde-dpmsolver++";
}
void sde_heun(SchedulerConfig& config) {
  config.algorithm_type = "sde-dpmsolver++";
  config.solver_type = "heun";
}
void third_order(SchedulerConfig& config) {
  config.solver_order = 3;
}
void sde_karras(SchedulerConfig& config) {
  config.use_karras_sigmas = true;
  config.algorithm_type = "sde-dpmsolver++";
}
void v_prediction_zero_snr(SchedulerConfig& config) {
  config.prediction_type = PredictionType::v_prediction;
  config.rescale_betas_zero_snr = true;
}
void end_at_first_alpha(SchedulerConfig& config) {
  config.set_alpha_to_one = false;
}
void lower_order_final(SchedulerConfig& config) {
  config.lower_order_final = true;
}
void skip_prk_steps(SchedulerConfig& config) {
  config.skip_prk_steps = true;
}

constexpr std::array kPresets = {
    Preset{"euler", "EulerDiscreteScheduler", kLeading, 1, as_is},
    Preset{"euler_trailing", "EulerDiscreteScheduler", kTrailing, 0, as_is},
    Preset{"euler_karras", "EulerDiscreteScheduler", kLeading, 1, karras},
    Preset{"euler_vpred", "EulerDiscreteScheduler", kTrailing, 0, v_prediction_zero_snr},
    Preset{"euler_a", "EulerAncestralDiscreteScheduler", kLeading, 1, as_is},
    Preset{"ddim", "DDIMScheduler", kLeading, 1, end_at_first_alpha},
    Preset{"ddim_trailing", "DDIMScheduler", kTrailing, 0, end_at_first_alpha},
    Preset{"ddpm", "DDPMScheduler", kLeading, 1, as_is},
    Preset{"dpmpp_2m", "DPMSolverMultistepScheduler", kLeading, 1, as_is},
    Preset{"dpmpp_2m_karras", "DPMSolverMultistepScheduler", kLeading, 1, karras},
    Preset{"dpmpp_2m_sde_karras", "DPMSolverMultistepScheduler", kLeading, 1, sde_karras},
    Preset{"dpmpp_2m_sde", "DPMSolverMultistepScheduler", kLeading, 1, sde},
    Preset{"dpmpp_2m_sde_heun", "DPMSolverMultistepScheduler", kLeading, 1, sde_heun},
    Preset{"dpmpp_3m", "DPMSolverMultistepScheduler", kLeading, 1, third_order},
    Preset{"dpmpp_3m_sde", "DPMSolver3MSDEScheduler", kLeading, 1, as_is},
    Preset{"dpmpp_sde", "DPMSolverSDEScheduler", kLeading, 1, as_is},
    Preset{"dpmpp_2s_a", "DPMSolver2SAncestralScheduler", kLeading, 1, as_is},
    Preset{"dpmpp_2s", "DPMSolverSinglestepScheduler", kLinspace, 0, lower_order_final},
    Preset{"heun", "HeunDiscreteScheduler", kLeading, 1, as_is},
    Preset{"lms", "LMSDiscreteScheduler", kLeading, 1, as_is},
    Preset{"pndm", "PNDMScheduler", kLeading, 1, skip_prk_steps},
    Preset{"unipc", "UniPCMultistepScheduler", kLeading, 1, as_is},
    Preset{"deis", "DEISMultistepScheduler", kLeading, 1, as_is},
    Preset{"kdpm2", "KDPM2DiscreteScheduler", kLeading, 1, as_is},
    Preset{"kdpm2_a", "KDPM2AncestralDiscreteScheduler", kLeading, 1, as_is},
    Preset{"sa_solver", "SASolverScheduler", kLinspace, 0, as_is},
    Preset{"lcm", "LCMScheduler", kLeading, 0, as_is},
    Preset{"tcd", "TCDScheduler", kLeading, 0, as_is},
};

// What belongs to the model rather than to the sampler.
struct NoiseLevels {
  int num_train_timesteps;
  double beta_start, beta_end;
  BetaSchedule beta_schedule;
  std::vector<double> trained_betas;
  bool operator==(const NoiseLevels&) const = default;
};

NoiseLevels noise_levels_of(const SchedulerConfig& config) {
  return {config.num_train_timesteps, config.beta_start, config.beta_end, config.beta_schedule, config.trained_betas};
}

void set_noise_levels(SchedulerConfig& config, NoiseLevels levels) {
  config.num_train_timesteps = levels.num_train_timesteps;
  config.beta_start = levels.beta_start;
  config.beta_end = levels.beta_end;
  config.beta_schedule = levels.beta_schedule;
  config.trained_betas = std::move(levels.trained_betas);
}

}  // namespace

std::vector<std::string_view> scheduler_names() {
  return names_of(kPresets);
}

SchedulerConfig scheduler_config(std::string_view name) {
  const SchedulerName read = read_scheduler_name(name);
  const Preset& preset = *std::find_if(kPresets.begin(), kPresets.end(),
                                       [&](const Preset& candidate) { return candidate.name == read.preset; });
  SchedulerConfig config = defaults_of(find_sampler(preset.class_name));
  set_noise_levels(config, {1000, 0.00085, 0.012, BetaSchedule::scaled_linear, {}});
  config.timestep_spacing = preset.spacing;
  config.steps_offset = preset.steps_offset;
  preset.adjust(config);
  if (!read.schedule.empty()) set_schedule(config, read.schedule);
  return config;
}

SchedulerConfig scheduler_config(std::string_view name, const SchedulerConfig& model) {
  SchedulerConfig config = scheduler_config(name);
  // The presets all have plain SDXL's noise levels, so the model's can only replace them with the same or its own. The
  // samplers of EDM have no table of levels to replace them with.
  const auto is_of_edm = [&](const Sampler* sampler) {
    return sampler->class_name == model.class_name && knows(*sampler, "sigma_data");
  };
  const std::span<const Sampler* const> all = samplers();
  if (std::none_of(all.begin(), all.end(), is_of_edm)) set_noise_levels(config, noise_levels_of(model));
  if (model.prediction_type != PredictionType::epsilon) config.prediction_type = model.prediction_type;
  if (model.rescale_betas_zero_snr && knows(find_sampler(config.class_name), "rescale_betas_zero_snr")) {
    config.rescale_betas_zero_snr = true;
  }
  return config;
}

}  // namespace tempera
