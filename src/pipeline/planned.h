// A request brought to programs for a target, without reading weights: what plans and kernel measurements start from.
#pragma once

#include "pipeline/devices.h"
#include "pipeline/programs.h"

namespace tempera {

struct PlannedRequest {
  ResolvedRequest request;
  ProgramOptions options;
  Programs programs;
  Plan plan;
};

// The model is the preset that `engine` names, or else its model. Throws as open_model, resolve, fit and lower do.
PlannedRequest plan_request(const EngineOptions& engine, const Request& request, const DeviceChoice& choice,
                            const Target& target);

}  // namespace tempera
