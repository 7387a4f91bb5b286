#include "pipeline/blending.h"

namespace tempera {

BlendStep blend_step(Blending blending, const Schedule& schedule, size_t position) {
  if (blending == Blending::none) return {};
  const std::vector<Evaluation>& evaluations = schedule.evaluations;
  BlendStep step{.threshold = 0.5};
  if (blending == Blending::soft)
    step.threshold = static_cast<double>(evaluations.size() - position) / static_cast<double>(evaluations.size());
  if (position + 1 < evaluations.size()) {
    step.signal = evaluations[position + 1].signal;
    step.noise = evaluations[position + 1].noise;
  }
  return step;
}

}  // namespace tempera
