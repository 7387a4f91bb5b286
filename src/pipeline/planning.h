// A request brought to stages and a plan, without reading weights: the one way from engine options and a resolved
// request to programs, for plans, measurements of kernels, and runs.
#pragma once

#include "pipeline/devices.h"
#include "pipeline/fit.h"
#include "pipeline/stages.h"

namespace tempera {

// What planning has to know of a model.
struct ModelFacts {
  ModelConfig config;
  SchedulerSource scheduler;
  RequestDefaults defaults;
  std::string name;                            // for people
  int tokens = 77;                             // that a prompt is padded to
  std::optional<TinyVaeConfig> tiny_vae = {};  // that the options name
  OwnTinyVae own_tiny_vae = {};
};
// Of the preset that `engine` names, or else of its model, whose headers are read. With `text`, the text encoders will
// run. Throws as open_model does.
ModelFacts model_facts(const EngineOptions& engine, bool text);

// How the engine options say that a request is to be run, before any budget. `embedded_tokens`: of the embeddings that
// come with the request; nothing when its texts are to be encoded.
ProgramOptions program_options(const ModelFacts& model, const ResolvedRequest& request, const EngineOptions& engine,
                               const DeviceChoice& choice, const Target& target, std::optional<int> embedded_tokens);

// The limits that the engine options set. Throws Error(invalid_argument) for a budget that is no size.
Limits limits_of(const EngineOptions& engine, std::function<std::optional<size_t>()> free);

struct PlannedRequest {
  ResolvedRequest request;
  Fitted fitted;
};

// Throws as model_facts, resolve, fit and lower do.
PlannedRequest plan_request(const EngineOptions& engine, const Request& request, const DeviceChoice& choice,
                            const Target& target);

}  // namespace tempera
