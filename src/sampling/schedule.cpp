#include "sampling/schedule.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "sampling/sampler.h"

namespace tempera {
namespace {

void check_finite(const SchedulerConfig& config, const ScheduleOptions& options, const Schedule& schedule) {
  bool is_finite = std::isfinite(schedule.init_noise_sigma);
  for (const Evaluation& e : schedule.evaluations) {
    is_finite = is_finite && std::isfinite(e.timestep) && std::isfinite(e.input_scale) &&
                std::all_of(e.update.begin(), e.update.end(), [](double c) { return std::isfinite(c); });
  }
  if (is_finite) return;
  fail(ErrorCode::invalid_argument,
       "{} divides by zero over {} steps, because two of its noise levels coincide or one is pure noise; use fewer "
       "steps, another timestep_spacing, or v_prediction where the signal vanishes",
       config.class_name, options.steps);
}

}  // namespace

Schedule make_schedule(const SchedulerConfig& config, const ScheduleOptions& options) {
  const Sampler& sampler = find_sampler(config.class_name);
  if (options.steps < 1 || options.steps > ScheduleOptions::kMaxSteps) {
    fail(ErrorCode::invalid_argument, "the number of steps is {}; it must be between 1 and {}", options.steps,
         ScheduleOptions::kMaxSteps);
  }
  if (!(options.eta >= 0 && options.eta <= 1)) {
    fail(ErrorCode::invalid_argument, "eta is {}; it must be between 0 and 1", options.eta);
  }
  ScheduleOptions from_the_start = options;
  from_the_start.first = 0;
  Schedule schedule = sampler.compile(config, from_the_start);
  if (options.first != 0) {
    const auto count = static_cast<int>(schedule.evaluations.size());
    if (options.first < 0 || options.first >= count || options.first % schedule.order != 0) {
      fail(ErrorCode::invalid_argument, "cannot start {} at evaluation {}; it must be a multiple of {} below {}",
           config.class_name, options.first, schedule.order, count);
    }
    schedule = sampler.compile(config, options);
  }
  schedule.num_train_timesteps = config.num_train_timesteps;
  check_finite(config, options, schedule);
  return schedule;
}

Schedule truncate(Schedule schedule, double denoising_end) {
  if (!(denoising_end > 0 && denoising_end < 1)) return schedule;
  const double all = schedule.num_train_timesteps;
  const double cutoff = std::nearbyint(all - denoising_end * all);
  const auto kept = std::count_if(schedule.evaluations.begin(), schedule.evaluations.end(),
                                  [&](const Evaluation& e) { return e.timestep >= cutoff; });
  schedule.evaluations.resize(static_cast<size_t>(kept));
  return schedule;
}

}  // namespace tempera
