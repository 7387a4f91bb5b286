#include "program/overhead.h"

#include <algorithm>
#include <utility>

namespace tempera {

size_t overhead_of(std::span<const Program* const> programs, const Target& target) {
  size_t bytes = 0;
  std::vector<std::pair<uint32_t, Problem>> counted;
  for (const Program* program : programs) {
    bytes += target.overhead_step * program->steps.size();
    for (const Step& step : program->steps) {
      const size_t own = target.kernels[step.kernel]->overhead;
      if (own == 0) continue;
      std::pair<uint32_t, Problem> made{step.kernel, problem_of(step)};
      if (std::find(counted.begin(), counted.end(), made) != counted.end()) continue;
      counted.push_back(std::move(made));
      bytes += own;
    }
  }
  return bytes;
}

}  // namespace tempera
