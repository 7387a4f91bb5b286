#include "sampling/names.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <optional>
#include <span>

#include "base/error.h"
#include "base/nearest.h"
#include "sampling/sampler.h"

namespace tempera {
namespace {

// Names of other programs that differ from the preset's in more than case and punctuation. Those of k-diffusion with
// "k_", of ComfyUI, of stable-diffusion.cpp.
struct Alias {
  std::string_view name, preset;
};
constexpr std::array kAliases = {
    Alias{"k_euler", "euler"},
    Alias{"k_euler_a", "euler_a"},
    Alias{"k_euler_ancestral", "euler_a"},
    Alias{"euler_ancestral", "euler_a"},
    Alias{"k_dpmpp_2m", "dpmpp_2m"},
    Alias{"k_dpmpp_2m_sde", "dpmpp_2m_sde"},
    Alias{"dpmpp_2m_sde_gpu", "dpmpp_2m_sde"},
    Alias{"dpmpp_2m_sde_heun_gpu", "dpmpp_2m_sde_heun"},
    Alias{"k_dpmpp_3m_sde", "dpmpp_3m_sde"},
    Alias{"dpmpp_3m_sde_gpu", "dpmpp_3m_sde"},
    Alias{"k_dpmpp_sde", "dpmpp_sde"},
    Alias{"dpmpp_sde_gpu", "dpmpp_sde"},
    Alias{"k_dpmpp_2s_a", "dpmpp_2s_a"},
    Alias{"dpmpp_2s_ancestral", "dpmpp_2s_a"},
    Alias{"k_heun", "heun"},
    Alias{"k_lms", "lms"},
    Alias{"PLMS", "pndm"},
    Alias{"uni_pc_bh2", "unipc"},
    Alias{"DPM2", "kdpm2"},
    Alias{"dpm_2", "kdpm2"},
    Alias{"k_dpm_2", "kdpm2"},
    Alias{"DPM2 a", "kdpm2_a"},
    Alias{"dpm_2_ancestral", "kdpm2_a"},
    Alias{"k_dpm_2_a", "kdpm2_a"},
    Alias{"k_dpm_2_ancestral", "kdpm2_a"},
};

enum class Spacing { automatic, uniform, karras, exponential, type };

struct ScheduleName {
  std::string_view name, label;
  Spacing spacing;
  ScheduleType type = ScheduleType::none;
};
constexpr std::array kSchedules = {
    ScheduleName{"automatic", "Automatic", Spacing::automatic},
    ScheduleName{"uniform", "Uniform", Spacing::uniform},
    ScheduleName{"karras", "Karras", Spacing::karras},
    ScheduleName{"exponential", "Exponential", Spacing::exponential},
    ScheduleName{"normal", "Normal", Spacing::type, ScheduleType::normal},
    ScheduleName{"simple", "Simple", Spacing::type, ScheduleType::simple},
    ScheduleName{"sgm_uniform", "SGM Uniform", Spacing::type, ScheduleType::sgm_uniform},
    ScheduleName{"ddim_uniform", "DDIM", Spacing::type, ScheduleType::ddim_uniform},
    ScheduleName{"beta", "Beta", Spacing::type, ScheduleType::beta},
    ScheduleName{"kl_optimal", "KL Optimal", Spacing::type, ScheduleType::kl_optimal},
    ScheduleName{"align_your_steps", "Align Your Steps", Spacing::type, ScheduleType::align_your_steps},
};
// A1111's polyexponential has an exponent of 1 unless a setting changes it, and is exponential then.
constexpr std::array kScheduleAliases = {Alias{"ays", "align_your_steps"}, Alias{"ddim", "ddim_uniform"},
                                         Alias{"polyexponential", "exponential"}};

// Small letters and digits; "+" becomes "p", so that "DPM++" is "dpmpp".
std::string normalised(std::string_view name) {
  std::string result;
  for (const char c : name) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '+') result += 'p';
    if (std::isalnum(byte)) result += static_cast<char>(std::tolower(byte));
  }
  return result;
}

std::string shortened(std::string_view name) {
  constexpr size_t kLongest = 100;
  return std::string(name.substr(0, kLongest));
}

std::string_view find_preset(std::string_view plain) {
  for (const std::string_view preset : scheduler_names())
    if (normalised(preset) == plain) return preset;
  for (const Alias& alias : kAliases)
    if (normalised(alias.name) == plain) return alias.preset;
  return "";
}

const ScheduleName* find_schedule(std::string_view plain) {
  for (const Alias& alias : kScheduleAliases)
    if (normalised(alias.name) == plain) return find_schedule(normalised(alias.preset));
  for (const ScheduleName& schedule : kSchedules)
    if (normalised(schedule.name) == plain) return &schedule;
  return nullptr;
}

// The remedy: the nearest, and then all others.
std::string nearest_first(std::string_view typed, std::span<const std::string_view> names) {
  constexpr size_t kNearest = 3;
  std::vector<std::string> plain;
  std::vector<std::string_view> views;
  for (const std::string_view name : names) plain.push_back(normalised(name));
  views.assign(plain.begin(), plain.end());
  std::string near;
  std::vector<bool> is_near(names.size());
  const std::string typed_plain = normalised(typed);
  for (const std::string_view found : nearest_names(typed_plain, views, kNearest)) {
    const auto at = static_cast<size_t>(std::find(views.begin(), views.end(), found) - views.begin());
    is_near[at] = true;
    near += (near.empty() ? "" : ", ") + std::string(names[at]);
  }
  std::string others;
  for (size_t i = 0; i < names.size(); ++i)
    if (!is_near[i]) others += (others.empty() ? "" : ", ") + std::string(names[i]);
  return fmt::format("choose one of the nearest ({}) or of the others ({})", near, others);
}

const ScheduleName& schedule_of(std::string_view name) {
  const ScheduleName* found = find_schedule(normalised(shortened(name)));
  if (found == nullptr) {
    fail(ErrorCode::invalid_argument, "there is no {} '{}'; {}", FieldName{"schedule"}, shortened(name),
         nearest_first(name, schedule_names()));
  }
  return *found;
}

bool is_edm(const SchedulerConfig& config) {
  return config.class_name == "EDMEulerScheduler" || config.class_name == "EDMDPMSolverMultistepScheduler";
}

Spacing automatic(const SchedulerConfig& config) {
  if (config.class_name == "DPMSolverMultistepScheduler" && config.solver_order == 2) {
    if (config.algorithm_type == "dpmsolver++") return Spacing::karras;
    if (config.algorithm_type == "sde-dpmsolver++") return Spacing::exponential;
  }
  if (config.class_name == "DPMSolverSDEScheduler" || config.class_name == "DPMSolver2SAncestralScheduler") {
    return Spacing::karras;
  }
  return config.class_name == "DPMSolver3MSDEScheduler" ? Spacing::exponential : Spacing::automatic;
}

}  // namespace

std::vector<std::string_view> schedule_names() {
  return names_of(kSchedules);
}

SchedulerName read_scheduler_name(std::string_view name) {
  const std::string plain = normalised(shortened(name));
  if (const std::string_view preset = find_preset(plain); !preset.empty()) return {preset, ""};
  for (size_t length = plain.size() - std::min<size_t>(plain.size(), 1); length > 0; --length) {
    const std::string_view end = std::string_view(plain).substr(length);
    const ScheduleName* schedule = find_schedule(end);
    const std::string_view preset = find_preset(std::string_view(plain).substr(0, length));
    if (schedule != nullptr && !preset.empty()) return {preset, schedule->name};
  }
  fail(ErrorCode::invalid_argument, "there is no {} '{}'; {}", FieldName{"scheduler"}, shortened(name),
       nearest_first(name, scheduler_names()));
}

void set_schedule(SchedulerConfig& config, std::string_view name) {
  const ScheduleName& schedule = schedule_of(name);
  Spacing spacing = schedule.spacing;
  if (spacing == Spacing::automatic) spacing = automatic(config);
  if (spacing == Spacing::automatic) return;
  const Sampler& sampler = find_sampler(config.class_name);
  if (!sampler.spaces_sigmas) {
    const bool has_timesteps = spacing == Spacing::type && sampler.takes_timesteps;
    if (spacing == Spacing::uniform || has_timesteps) {
      config.schedule_type = schedule.type;
      return;
    }
    fail(ErrorCode::invalid_argument,
         "{} has timesteps of its own and reads no {} '{}': leave it out, or choose a {} that does, such as euler, "
         "euler_a, dpmpp_2m or unipc",
         config.class_name, FieldName{"schedule"}, schedule.name, FieldName{"scheduler"});
  }
  if (is_edm(config)) {
    if (spacing != Spacing::karras && spacing != Spacing::exponential) {
      fail(ErrorCode::invalid_argument, "{} reads no {} '{}'; choose karras or exponential", config.class_name,
           FieldName{"schedule"}, schedule.name);
    }
    config.sigma_schedule = spacing == Spacing::karras ? SigmaSchedule::karras : SigmaSchedule::exponential;
    return;
  }
  config.use_karras_sigmas = spacing == Spacing::karras;
  config.use_exponential_sigmas = spacing == Spacing::exponential;
  config.use_beta_sigmas = config.use_lu_lambdas = false;
  config.schedule_type = schedule.type;
}

SchedulerConfig scheduler_config(std::string_view name, std::string_view schedule, const SchedulerConfig& model) {
  const SchedulerName read = read_scheduler_name(name);
  SchedulerConfig config = scheduler_config(name, model);
  if (schedule.empty()) return config;
  const bool says_one = !read.schedule.empty() || config.use_karras_sigmas;
  if (!says_one) {
    set_schedule(config, schedule);
    return config;
  }
  const ScheduleName& wanted = schedule_of(schedule);
  const std::string_view said = read.schedule.empty() ? "karras" : read.schedule;
  if (wanted.spacing != Spacing::automatic && wanted.name != said) {
    fail(ErrorCode::invalid_argument, "{} '{}' says {}, but {} is {}: give one of them", FieldName{"scheduler"},
         shortened(name), said, FieldName{"schedule"}, wanted.name);
  }
  return config;
}

SchedulerLabels labels_of(const SchedulerConfig& config) {
  struct Label {
    std::string_view class_name, label;
  };
  static constexpr std::array kLabels = {Label{"EulerDiscreteScheduler", "Euler"},
                                         Label{"EulerAncestralDiscreteScheduler", "Euler a"},
                                         Label{"DDIMScheduler", "DDIM"},
                                         Label{"DDPMScheduler", "DDPM"},
                                         Label{"DPMSolverMultistepScheduler", "DPM++ 2M"},
                                         Label{"DPMSolverSinglestepScheduler", "DPM++ 2S"},
                                         Label{"DPMSolverSDEScheduler", "DPM++ SDE"},
                                         Label{"DPMSolver2SAncestralScheduler", "DPM++ 2S a"},
                                         Label{"DPMSolver3MSDEScheduler", "DPM++ 3M SDE"},
                                         Label{"HeunDiscreteScheduler", "Heun"},
                                         Label{"LMSDiscreteScheduler", "LMS"},
                                         Label{"PNDMScheduler", "PLMS"},
                                         Label{"UniPCMultistepScheduler", "UniPC"},
                                         Label{"DEISMultistepScheduler", "DEIS"},
                                         Label{"KDPM2DiscreteScheduler", "DPM2"},
                                         Label{"KDPM2AncestralDiscreteScheduler", "DPM2 a"},
                                         Label{"SASolverScheduler", "SA Solver"},
                                         Label{"EDMEulerScheduler", "EDM Euler"},
                                         Label{"EDMDPMSolverMultistepScheduler", "EDM DPM++ 2M"},
                                         Label{"LCMScheduler", "LCM"},
                                         Label{"TCDScheduler", "TCD"}};
  SchedulerLabels labels{config.class_name, "Uniform"};
  for (const Label& label : kLabels)
    if (label.class_name == config.class_name) labels.sampler = label.label;
  const bool third = config.class_name == "DPMSolverMultistepScheduler" && config.solver_order == 3;
  if (third) labels.sampler = "DPM++ 3M";
  if (config.algorithm_type == "sde-dpmsolver++") labels.sampler += " SDE";
  if (config.algorithm_type == "sde-dpmsolver++" && config.solver_type == "heun") labels.sampler += " Heun";
  if (config.use_karras_sigmas) labels.schedule = "Karras";
  if (config.use_exponential_sigmas) labels.schedule = "Exponential";
  if (config.use_beta_sigmas) labels.schedule = "Beta";
  if (is_edm(config)) labels.schedule = config.sigma_schedule == SigmaSchedule::karras ? "Karras" : "Exponential";
  for (const ScheduleName& schedule : kSchedules)
    if (schedule.type != ScheduleType::none && schedule.type == config.schedule_type) labels.schedule = schedule.label;
  return labels;
}

}  // namespace tempera
