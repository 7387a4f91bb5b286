#include "pipeline/blending.h"

namespace tempera {

BlendStep blend_step(Blending blending, const Schedule& schedule, size_t position, const BlendRange& range) {
  if (blending == Blending::none) return {};
  const std::vector<Evaluation>& evaluations = schedule.evaluations;
  BlendStep step{0.5, range.end_signal, range.end_noise};
  if (blending == Blending::soft) {
    const size_t all = range.before + evaluations.size() + range.after;
    step.threshold = static_cast<double>(all - range.before - position) / static_cast<double>(all);
  }
  if (position + 1 < evaluations.size()) {
    step.signal = evaluations[position + 1].signal;
    step.noise = evaluations[position + 1].noise;
  }
  return step;
}

}  // namespace tempera
