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
    if (e.threshold) {
      is_finite = is_finite && std::isfinite(e.threshold->of_sample) && std::isfinite(e.threshold->of_prediction);
    }
  }
  if (is_finite) return;
  fail(ErrorCode::invalid_argument,
       "{} divides by zero over {} steps, because two of its noise levels coincide or one is pure noise; use fewer "
       "steps, another timestep_spacing, or v_prediction where the signal vanishes",
       config.class_name, options.steps);
}

[[noreturn]] void refuse_argument(const SchedulerConfig& config, FieldName field, std::string_view remedy) {
  fail(ErrorCode::invalid_argument, "{} does not read {}: leave {} out, or choose {}", config.class_name, field, field,
       remedy);
}

template <class Values>
bool decreases(const Values& values) {
  return std::is_sorted(values.rbegin(), values.rend()) &&
         std::adjacent_find(values.begin(), values.end()) == values.end();
}

void check_timesteps(const SchedulerConfig& config, const Sampler& sampler, const std::vector<int>& timesteps) {
  const FieldName field{"timesteps"};
  if (!sampler.takes_timesteps) refuse_argument(config, field, "a sampler that does, such as euler or dpmpp_2m");
  if (config.use_karras_sigmas || config.use_exponential_sigmas || config.use_beta_sigmas || config.use_lu_lambdas ||
      config.schedule_type != ScheduleType::none) {
    fail(
        ErrorCode::invalid_argument,
        "{} are given, but this {} spaces its sigmas itself: leave {} out, or choose a sampler without a schedule such "
        "as karras",
        field, config.class_name, field);
  }
  if (config.continuous_timesteps && config.prediction_type == PredictionType::v_prediction) {
    refuse_argument(config, field, "timestep_type discrete");
  }
  if (!decreases(timesteps) || timesteps.front() >= config.num_train_timesteps || timesteps.back() < 0) {
    fail(ErrorCode::invalid_argument, "{} must decrease, from at most {} to at least 0", field,
         config.num_train_timesteps - 1);
  }
}

void check_sigmas(const SchedulerConfig& config, const Sampler& sampler, const std::vector<double>& sigmas) {
  const FieldName field{"sigmas"};
  if (!sampler.takes_sigmas) refuse_argument(config, field, "a sampler that does, such as euler");
  if (sigmas.size() < 2 || !decreases(sigmas) || !(sigmas.back() >= 0) || !std::isfinite(sigmas.front())) {
    fail(ErrorCode::invalid_argument,
         "{} must be at least two numbers that decrease: one for each step, then the one at the end, usually 0", field);
  }
}

// The request's own levels, which this sampler must read.
void check_arguments(const SchedulerConfig& config, const Sampler& sampler, const ScheduleOptions& options) {
  if (!options.timesteps.empty() && !options.sigmas.empty()) {
    fail(ErrorCode::invalid_argument, "{} and {} are both given: give one of them", FieldName{"timesteps"},
         FieldName{"sigmas"});
  }
  if (!options.timesteps.empty()) check_timesteps(config, sampler, options.timesteps);
  if (!options.sigmas.empty()) check_sigmas(config, sampler, options.sigmas);
  if (options.eta > 0 && !sampler.takes_eta) {
    refuse_argument(config, FieldName{"eta"}, "a sampler that does, such as ddim");
  }
  if (options.own_steps() != 0 && options.own_steps() != options.steps) {
    fail(ErrorCode::internal, "internal error: {} steps for {} levels", options.steps, options.own_steps());
  }
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
  check_arguments(config, sampler, options);
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
