// DPM++ SDE, 2S a and 3M SDE against their published formulas (k_diffusion/sampling.py), in terms of the denoised
// picture and of a Brownian motion W along sigma.
#include <gtest/gtest.h>

#include <cmath>
#include <optional>

#include "sampling/config.h"
#include "sampling/run_schedule.h"
#include "sampling/schedule.h"

namespace tempera {
namespace {

double epsilon(double input, double timestep) {
  return 0.3 * input / (1 + std::abs(input)) + 0.01 * std::sin(3 * input) * timestep / 1000;
}

// Evaluates the stand-in model as the sampler of the schedule must: at sigma, with the timestep of evaluation i.
struct Denoiser {
  const Schedule& schedule;
  size_t i = 0;
  double operator()(double x, double sigma) {
    const double timestep = schedule.evaluations.at(i++).timestep;
    return x - sigma * epsilon(x / std::sqrt(sigma * sigma + 1), timestep);
  }
};

// Standard numbers, the same for sampler and formula.
struct Numbers {
  int count = 0;
  double operator()() { return std::sin(1.7 * ++count); }
};

std::pair<double, double> ancestral_step(double from, double to) {
  const double up = std::min(to, std::sqrt(to * to * (from * from - to * to) / (from * from)));
  return {std::sqrt(to * to - up * up), up};
}

double run(const Schedule& schedule, double x) {
  Numbers numbers;
  const auto model = [](const std::vector<double>& in, const Evaluation& e) {
    return std::vector<double>{epsilon(in[0], e.timestep)};
  };
  return run_schedule(schedule, {x}, model, [&] { return std::vector<double>{numbers()}; }).back()[0];
}

double dpmpp_sde(const Schedule& schedule, const std::vector<double>& sigmas, double x) {
  Denoiser denoise{schedule};
  Numbers numbers;
  for (size_t i = 0; i + 1 < sigmas.size(); ++i) {
    const double denoised = denoise(x, sigmas[i]);
    if (sigmas[i + 1] == 0) {
      x = denoised;
      continue;
    }
    const double t = -std::log(sigmas[i]), t_next = -std::log(sigmas[i + 1]), s = t + (t_next - t) / 2;
    // W(t) - W(s) and W(s) - W(t_next) are independent, with the differences of sigma as variances.
    const double first = std::sqrt(std::exp(-t) - std::exp(-s)) * numbers();
    auto [down, up] = ancestral_step(std::exp(-t), std::exp(-s));
    double s_ = -std::log(down);
    double x_2 = down / std::exp(-t) * x - std::expm1(t - s_) * denoised;
    x_2 += first / std::sqrt(std::exp(-t) - std::exp(-s)) * up;
    const double denoised_2 = denoise(x_2, std::exp(-s));
    const double second = std::sqrt(std::exp(-s) - std::exp(-t_next)) * numbers();
    std::tie(down, up) = ancestral_step(std::exp(-t), std::exp(-t_next));
    s_ = -std::log(down);
    x = down / std::exp(-t) * x - std::expm1(t - s_) * denoised_2;
    x += (first + second) / std::sqrt(std::exp(-t) - std::exp(-t_next)) * up;
  }
  return x;
}

double dpmpp_2s_ancestral(const Schedule& schedule, const std::vector<double>& sigmas, double x) {
  Denoiser denoise{schedule};
  Numbers numbers;
  for (size_t i = 0; i + 1 < sigmas.size(); ++i) {
    const double denoised = denoise(x, sigmas[i]);
    const auto [down, up] = sigmas[i + 1] == 0 ? std::pair(0.0, 0.0) : ancestral_step(sigmas[i], sigmas[i + 1]);
    if (down == 0) {
      x += (x - denoised) / sigmas[i] * (down - sigmas[i]);
    } else {
      const double t = -std::log(sigmas[i]), t_next = -std::log(down), h = t_next - t, s = t + h / 2;
      const double x_2 = std::exp(-s) / std::exp(-t) * x - std::expm1(-h / 2) * denoised;
      const double denoised_2 = denoise(x_2, std::exp(-s));
      x = std::exp(-t_next) / std::exp(-t) * x - std::expm1(-h) * denoised_2;
    }
    if (sigmas[i + 1] > 0) x += numbers() * up;
  }
  return x;
}

double dpmpp_3m_sde(const Schedule& schedule, const std::vector<double>& sigmas, double x) {
  Denoiser denoise{schedule};
  Numbers numbers;
  std::optional<double> denoised_1, denoised_2, h_1, h_2;
  for (size_t i = 0; i + 1 < sigmas.size(); ++i) {
    const double denoised = denoise(x, sigmas[i]);
    if (sigmas[i + 1] == 0) {
      x = denoised;
      break;
    }
    const double h = std::log(sigmas[i]) - std::log(sigmas[i + 1]), eta = 1, h_eta = h * (eta + 1);
    x = std::exp(-h_eta) * x - std::expm1(-h_eta) * denoised;
    const double phi_2 = std::expm1(-h_eta) / h_eta + 1;
    if (h_2) {
      const double r0 = *h_1 / h, r1 = *h_2 / h;
      const double d1_0 = (denoised - *denoised_1) / r0, d1_1 = (*denoised_1 - *denoised_2) / r1;
      const double d1 = d1_0 + (d1_0 - d1_1) * r0 / (r0 + r1), d2 = (d1_0 - d1_1) / (r0 + r1);
      x += phi_2 * d1 - (phi_2 / h_eta - 0.5) * d2;
    } else if (h_1) {
      x += phi_2 * (denoised - *denoised_1) / (*h_1 / h);
    }
    x += numbers() * sigmas[i + 1] * std::sqrt(-std::expm1(-2 * h * eta));
    denoised_2 = denoised_1, denoised_1 = denoised, h_2 = h_1, h_1 = h;
  }
  return x;
}

TEST(KDiffusion, SamplersEqualTheirFormulas) {
  struct Row {
    const char* name;
    double (*formula)(const Schedule&, const std::vector<double>&, double);
  };
  for (const Row& row :
       {Row{"dpmpp_sde", dpmpp_sde}, Row{"dpmpp_2s_a", dpmpp_2s_ancestral}, Row{"dpmpp_3m_sde", dpmpp_3m_sde},
        Row{"dpmpp_sde_karras", dpmpp_sde}, Row{"dpmpp_3m_sde_exponential", dpmpp_3m_sde}})
    for (const int steps : {1, 2, 3, 8, 21}) {
      const Schedule schedule = make_schedule(scheduler_config(row.name), steps);
      const double x = 0.8 * schedule.init_noise_sigma;
      const double expected = row.formula(schedule, schedule.sigmas, x);
      EXPECT_NEAR(run(schedule, x), expected, 1e-9 * std::abs(expected)) << row.name << " " << steps;
    }
}

}  // namespace
}  // namespace tempera
