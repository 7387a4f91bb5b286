// plan(): everything about a request that can be known without weights.
#include "pipeline/default_model.h"
#include "pipeline/open.h"
#include "pipeline/planned.h"
#include "sampling/config.h"
#include "tempera/tempera.h"

namespace tempera {

OpenOptions open_options(const EngineOptions& options, const LogSink& log) {
  OpenOptions open;
  open.model_config = options.model_config;
  open.tokenizer = options.tokenizer;
  open.variant = options.variant;
  open.log = log;
  return open;
}

ModelSource open_model_of(const EngineOptions& options, const LogSink& log, bool text_encoders) {
  OpenOptions open = open_options(options, log);
  open.text_encoders = text_encoders;
  return open_model(options.model.empty() ? default_model() : std::filesystem::path(options.model), open);
}

Plan plan(const EngineOptions& engine, const Request& request, bool listing) {
  const DeviceChoice choice = choose_target(engine);
  const PlanTarget target = plan_target(choice.device);
  PlannedRequest planned = plan_request(engine, request, choice, *target.target);
  Plan plan = std::move(planned.plan);
  if (listing)
    for (const Program* p : all_programs(planned.programs)) plan.listing += dump(*p, *target.target);
  return plan;
}

std::vector<std::string_view> preset_list() {
  return preset_names();
}
std::vector<std::string_view> scheduler_list() {
  return scheduler_names();
}

}  // namespace tempera
