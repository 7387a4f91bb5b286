// Exact solutions of the diffusion ODE (or SDE) for a model that is a polynomial in lambda. Lu et al. 2022, DPM-Solver
// (equations 3.7 and appendix B) and DPM-Solver++ (equation 9 and appendix B), with h the step in lambda.
#include "sampling/dpmsolver.h"

#include <cmath>

#include "base/error.h"

namespace tempera {
namespace {

// The coefficients of x, of the three differences and of fresh noise.
struct Weights {
  double x, value, first_midpoint, first_heun, second, noise;
};

Weights weights(DpmAlgorithm algorithm, Level from, Level to, double h) {
  switch (algorithm) {
    case DpmAlgorithm::data: {
      const double e = std::expm1(-h);
      return {to.noise / from.noise,
              -to.signal * e,
              -0.5 * to.signal * e,
              to.signal * (e / h + 1),
              -to.signal * ((e + h) / (h * h) - 0.5),
              0};
    }
    case DpmAlgorithm::noise: {
      const double e = std::expm1(h);
      return {to.signal / from.signal,
              -to.noise * e,
              -0.5 * to.noise * e,
              -to.noise * (e / h - 1),
              -to.noise * ((e - h) / (h * h) - 0.5),
              0};
    }
    case DpmAlgorithm::data_sde: {
      const double e = -std::expm1(-2 * h);
      return {to.noise / from.noise * std::exp(-h),
              to.signal * e,
              0.5 * to.signal * e,
              to.signal * (e / (-2 * h) + 1),
              to.signal * ((e - 2 * h) / (4 * h * h) - 0.5),
              to.noise * std::sqrt(e)};
    }
    case DpmAlgorithm::noise_sde: {
      const double e = std::expm1(h);
      return {to.signal / from.signal,
              -2 * to.noise * e,
              -to.noise * e,
              -2 * to.noise * (e / h - 1),
              0,  // third order does not exist
              to.noise * std::sqrt(std::expm1(2 * h))};
    }
  }
  fail(ErrorCode::internal, "internal error: algorithm {}", static_cast<int>(algorithm));
}

}  // namespace

DpmSettings dpm_settings(const SchedulerConfig& config) {
  DpmSettings settings{DpmAlgorithm::data, config.solver_type == "heun", config.solver_order};
  const std::string& algorithm = config.algorithm_type;
  if (algorithm == "dpmsolver") {
    settings.algorithm = DpmAlgorithm::noise;
  } else if (algorithm == "sde-dpmsolver++") {
    settings.algorithm = DpmAlgorithm::data_sde;
  } else if (algorithm == "sde-dpmsolver") {
    settings.algorithm = DpmAlgorithm::noise_sde;
  } else if (algorithm != "dpmsolver++" && algorithm != "deis") {
    refuse(config, "algorithm_type", algorithm, "choose dpmsolver++, sde-dpmsolver++ or dpmsolver");
  }
  const bool by_noise = settings.algorithm == DpmAlgorithm::noise || settings.algorithm == DpmAlgorithm::noise_sde;
  if (by_noise && config.final_sigmas_type == FinalSigmas::zero) {
    refuse(config, "algorithm_type", algorithm, "set final_sigmas_type to sigma_min, or choose dpmsolver++");
  }
  const std::string& type = config.solver_type;
  if (type != "midpoint" && type != "heun" && type != "logrho" && type != "bh1" && type != "bh2") {
    refuse(config, "solver_type", type, "choose midpoint or heun");
  }
  if (settings.order < 1 || settings.order > 3) {
    refuse(config, "solver_order", std::to_string(settings.order), "choose 1, 2 or 3");
  }
  if (settings.algorithm == DpmAlgorithm::noise_sde && settings.order == 3) {
    refuse(config, "solver_order", "3", "with algorithm_type sde-dpmsolver choose 1 or 2");
  }
  return settings;
}

Linear dpm_model(DpmAlgorithm algorithm, const Predicted& predicted) {
  const bool of_data = algorithm == DpmAlgorithm::data || algorithm == DpmAlgorithm::data_sde;
  return of_data ? predicted.picture : predicted.noise;
}

Linear dpm_update(DpmAlgorithm algorithm, bool heun, Level from, Level to, const Linear& x, const DpmDifferences& model,
                  const Linear& noise) {
  const Weights w = weights(algorithm, from, to, to.lambda() - from.lambda());
  Linear next = w.x * x + w.value * model.value + w.noise * noise;
  if (model.first) next = next + (heun ? w.first_heun : w.first_midpoint) * *model.first;
  if (model.second) next = next + w.second * *model.second;
  return next;
}

std::vector<Level> levels_of(const std::vector<double>& sigmas) {
  std::vector<Level> levels;
  levels.reserve(sigmas.size());
  for (const double sigma : sigmas) levels.push_back(Level::of_sigma(sigma));
  return levels;
}

}  // namespace tempera
