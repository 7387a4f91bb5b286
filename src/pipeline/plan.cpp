// plan(): all properties of a request that do not depend on weights.
#include "base/parallel.h"
#include "pipeline/planning.h"
#include "sampling/config.h"
#include "tempera/tempera.h"

namespace tempera {

Plan plan(const EngineOptions& engine, const Request& request, bool listing) {
  const ThreadScope scope(engine_threads(engine));
  const DeviceChoice choice = choose_target(engine);
  const PlanTarget target = plan_target(choice.device);
  PlannedRequest planned = plan_request(engine, request, choice, *target.target);
  Plan plan = std::move(planned.fitted.plan);
  if (listing)
    for (const StageSpec& stage : planned.fitted.stages.list)
      for (const Program& program : stage.programs) plan.listing += dump(program, *target.target);
  return plan;
}

std::vector<std::string_view> preset_list() {
  return preset_names();
}
std::vector<std::string_view> scheduler_list() {
  return scheduler_names();
}

}  // namespace tempera
