// Samplers of k-diffusion (Katherine Crowson; k_diffusion/sampling.py) with steps in lambda = -log(sigma) and fresh
// noise: DPM++ SDE and DPM++ 2S a, which evaluate the model a second time in the middle of a step (Lu et al. 2022,
// DPM-Solver++, with ancestral steps), and DPM++ 3M SDE, which extrapolates the last three pictures.
//
// k-diffusion takes the noise of the two SDE samplers from a Brownian motion along sigma. Here, steps follow the motion
// in order, so its increments are independent: each is one draw of the request's generator.
#include <cmath>
#include <optional>

#include "sampling/sampler.h"
#include "sampling/sigmas.h"

namespace tempera {
namespace {

// The sigma to step to, and the deviation of the noise that then leads to `to`.
struct Ancestral {
  double down, up;
};
Ancestral ancestral(double from, double to) {
  const double up = std::min(to, std::sqrt(to * to * (from * from - to * to) / (from * from)));
  return {std::sqrt(to * to - up * up), up};
}

struct Setup {
  Ladder ladder;
  Schedule schedule;
};
Setup setup(const SchedulerConfig& config, const ScheduleOptions& options, int slots, int order) {
  Setup s{karras_ladder(config, options), {.slots = slots, .order = order}};
  s.schedule.init_noise_sigma = karras_init_noise_sigma(config, s.ladder.sigmas);
  s.schedule.sigmas = s.ladder.sigmas;
  return s;
}

Evaluation evaluation(double timestep, double sigma, std::vector<double> update, bool uses_noise) {
  const Level level = Level::karras(sigma);
  return {.timestep = timestep,
          .input_scale = 1 / level.scale(),
          .signal = level.signal,
          .noise = level.noise,
          .update = std::move(update),
          .uses_noise = uses_noise};
}

// x moved from one sigma to a lower one, for a constant picture.
Linear moved(const Linear& x, const Linear& picture, double from, double to) {
  return to / from * x + (1 - to / from) * picture;
}

// Two evaluations per step, the last step has one. `sde`: noise also in the middle.
Schedule compile_two_evaluations(const SchedulerConfig& config, const ScheduleOptions& options, bool sde) {
  // x, x before the step, and the noise of its first half
  const Basis basis(sde ? 3 : 2);
  auto [ladder, schedule] = setup(config, options, basis.slots(), 2);
  const std::vector<double> log_sigmas = logarithms(sigma_table(config, alphas_cumprod(config)));
  const Linear x = basis.slot(0);
  const Linear before = basis.slot(1);
  const auto picture = [&](double sigma) {
    return picture_of(config.prediction_type, Level::karras(sigma), x, basis.prediction());
  };
  const auto table = [&](const Linear& next, const Linear& kept, const Linear& noise) {
    return sde ? update_table({next, kept, noise}) : update_table({next, kept});
  };
  const size_t steps = ladder.timesteps.size();
  for (auto i = static_cast<size_t>(options.first) / 2; i < steps; ++i) {
    const double sigma = ladder.sigmas[i];
    const double next = ladder.sigmas[i + 1];
    if (i + 1 == steps) {
      schedule.evaluations.push_back(
          evaluation(ladder.timesteps[i], sigma, table(moved(x, picture(sigma), sigma, next), x, basis.zero()), false));
      break;
    }
    const Ancestral whole = ancestral(sigma, next);
    const double middle = std::sqrt(sigma * (sde ? next : whole.down));
    const Ancestral half = sde ? ancestral(sigma, middle) : Ancestral{middle, 0};
    schedule.evaluations.push_back(
        evaluation(ladder.timesteps[i], sigma,
                   table(moved(x, picture(sigma), sigma, half.down) + half.up * basis.noise(), x, basis.noise()), sde));
    // Both halves together: of the motion from sigma to next, the first half ended at `middle`.
    const Linear noise = sde ? (std::sqrt(sigma - middle) * basis.slot(2) + std::sqrt(middle - next) * basis.noise()) /
                                   std::sqrt(sigma - next)
                             : basis.noise();
    schedule.evaluations.push_back(evaluation(
        to_float32(timestep_of_sigma(middle, log_sigmas)), middle,
        table(moved(before, picture(middle), sigma, whole.down) + whole.up * noise, before, basis.zero()), true));
  }
  return schedule;
}

Schedule compile_3m_sde(const SchedulerConfig& config, const ScheduleOptions& options) {
  const Basis basis(3);  // x, then the pictures of the two evaluations before, newest first
  auto [ladder, schedule] = setup(config, options, 3, 1);
  const auto lambda = [&, &sigmas = ladder.sigmas](size_t i) { return -std::log(sigmas[i]); };
  const Linear x = basis.slot(0);
  const auto first = static_cast<size_t>(options.first);
  for (size_t i = first; i < ladder.timesteps.size(); ++i) {
    const double sigma = ladder.sigmas[i];
    const double to = ladder.sigmas[i + 1];
    const Linear picture = picture_of(config.prediction_type, Level::karras(sigma), x, basis.prediction());
    Linear next = picture;
    if (to > 0) {
      const double h = lambda(i + 1) - lambda(i);
      const double decay = 2 * h;  // h (1 + eta), with the usual eta of 1
      const double phi_2 = std::expm1(-decay) / decay + 1;
      const double phi_3 = phi_2 / decay - 0.5;
      next = std::exp(-decay) * x - std::expm1(-decay) * picture;
      if (i >= first + 1) {
        const double r0 = (lambda(i) - lambda(i - 1)) / h;
        const Linear newest = (picture - basis.slot(1)) / r0;
        if (i >= first + 2) {
          const double r1 = (lambda(i - 1) - lambda(i - 2)) / h;
          const Linear change = (newest - (basis.slot(1) - basis.slot(2)) / r1) / (r0 + r1);
          next = next + phi_2 * (newest + r0 * change) - phi_3 * change;
        } else {
          next = next + phi_2 * newest;
        }
      }
      next = next + to * std::sqrt(-std::expm1(-2 * h)) * basis.noise();
    }
    schedule.evaluations.push_back(
        evaluation(ladder.timesteps[i], sigma, update_table({next, picture, basis.slot(1)}), to > 0));
  }
  return schedule;
}

std::vector<std::string_view> keys() {
  return {"timestep_spacing", "steps_offset", "use_karras_sigmas", "use_exponential_sigmas", "use_beta_sigmas"};
}

}  // namespace

const Sampler& dpmpp_sde() {
  static const Sampler sampler = {.class_name = "DPMSolverSDEScheduler",
                                  .keys = keys(),
                                  .defaults = {.beta_start = 0.00085, .beta_end = 0.012},
                                  .compile = [](const SchedulerConfig& config, const ScheduleOptions& options) {
                                    return compile_two_evaluations(config, options, true);
                                  }};
  return sampler;
}

// diffusers has no class for these two. The names follow those of its classes.
const Sampler& dpmpp_2s_ancestral() {
  static const Sampler sampler = {.class_name = "DPMSolver2SAncestralScheduler",
                                  .keys = keys(),
                                  .defaults = {.beta_start = 0.00085, .beta_end = 0.012},
                                  .compile = [](const SchedulerConfig& config, const ScheduleOptions& options) {
                                    return compile_two_evaluations(config, options, false);
                                  }};
  return sampler;
}

const Sampler& dpmpp_3m_sde() {
  static const Sampler sampler = {.class_name = "DPMSolver3MSDEScheduler",
                                  .keys = keys(),
                                  .defaults = {.beta_start = 0.00085, .beta_end = 0.012},
                                  .compile = compile_3m_sde};
  return sampler;
}

}  // namespace tempera
