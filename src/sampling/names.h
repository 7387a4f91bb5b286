// Names of samplers and of their schedule types, also those of A1111's web UI and of ComfyUI. Case, spaces and
// punctuation do not count, and a sampler's name may end with that of a schedule type: "dpmpp_2m_karras", "DPM++ 2M
// Karras" and ("dpmpp_2m", "karras") are the same sampler.
#pragma once

#include <iterator>
#include <string>
#include <string_view>
#include <vector>

#include "sampling/config.h"

namespace tempera {

// The names of set_schedule: "automatic", "uniform", "karras", ...
std::vector<std::string_view> schedule_names();

// Changes the spacing of a sampler's sigmas:
//   uniform      the config's timestep_spacing alone
//   automatic    as A1111's web UI chooses: Karras for DPM++ 2M, SDE and 2S a, exponential for 2M SDE and 3M SDE; for
//   all
//                others no change
//   karras, exponential    use_karras_sigmas, use_exponential_sigmas; of EDM samplers: their sigma_schedule
//   all others   ScheduleType
// Throws Error(invalid_argument) for an unknown name, with the nearest ones, and for a sampler that does not choose its
// sigmas.
void set_schedule(SchedulerConfig& config, std::string_view schedule);

// scheduler_config(name, model) with the schedule set, unless it is empty. Throws Error(invalid_argument) also if the
// name ends with another schedule type.
SchedulerConfig scheduler_config(std::string_view name, std::string_view schedule, const SchedulerConfig& model);

// The labels of A1111's web UI, as its settings text has them. Samplers that it does not have, have similar labels.
struct SchedulerLabels {
  std::string sampler;        // "DPM++ 2M SDE"
  std::string_view schedule;  // "Karras"; "Uniform" for a spacing of timesteps
};
SchedulerLabels labels_of(const SchedulerConfig& config);

// The names of a list's entries, in its order. Internal to this folder.
template <class Entries>
std::vector<std::string_view> names_of(const Entries& entries) {
  std::vector<std::string_view> names;
  names.reserve(std::size(entries));
  for (const auto& entry : entries) names.push_back(entry.name);
  return names;
}

// What a name says: a preset, and the schedule type at its end, or "". Internal to this folder.
struct SchedulerName {
  std::string_view preset, schedule;
};
// Throws Error(invalid_argument) with the nearest names and all presets.
SchedulerName read_scheduler_name(std::string_view name);

}  // namespace tempera
