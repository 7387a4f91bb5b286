// The list of samplers: one line each. Adding one is a file with its formulas, a line here, and a golden.
#include <array>

#include "base/error.h"
#include "sampling/sampler.h"
#include "sampling/schedule.h"

// clang-format off
#define TEMPERA_SAMPLERS(X)  \
  X(euler)                   \
  X(euler_ancestral)         \
  X(heun)                    \
  X(kdpm2)                   \
  X(kdpm2_ancestral)         \
  X(lms)                     \
  X(ddim)                    \
  X(ddpm)                    \
  X(pndm)                    \
  X(dpmsolver_multistep)     \
  X(dpmsolver_singlestep)    \
  X(unipc)                   \
  X(deis)                    \
  X(sa_solver)               \
  X(edm_euler)               \
  X(edm_dpmsolver_multistep) \
  X(dpmpp_sde)               \
  X(dpmpp_2s_ancestral)      \
  X(dpmpp_3m_sde)            \
  X(lcm)                     \
  X(tcd)
// clang-format on

namespace tempera {

#define TEMPERA_DECLARE(function) const Sampler& function();
TEMPERA_SAMPLERS(TEMPERA_DECLARE)

std::span<const Sampler* const> samplers() {
#define TEMPERA_ADDRESS(function) &function(),
  static const auto all = std::to_array<const Sampler*>({TEMPERA_SAMPLERS(TEMPERA_ADDRESS)});
  return all;
}

const Sampler& find_sampler(std::string_view class_name) {
  std::string names;
  for (const Sampler* sampler : samplers()) {
    if (sampler->class_name == class_name) return *sampler;
    names += (names.empty() ? "" : ", ") + std::string(sampler->class_name);
  }
  constexpr size_t kLongest = 100;
  fail(ErrorCode::bad_file, "there is no sampler of the class '{}'; supported are {}", class_name.substr(0, kLongest),
       names);
}

}  // namespace tempera
