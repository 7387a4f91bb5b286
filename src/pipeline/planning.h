// From a request to stages and a plan, without reading weights. Plans, measurements of kernels and runs all use this
// way from engine options and a resolved request to programs.
#pragma once

#include "pipeline/devices.h"
#include "pipeline/fit.h"
#include "pipeline/init_pictures.h"
#include "pipeline/latents_file.h"
#include "pipeline/stages.h"

namespace tempera {

// The properties of a model for planning.
struct ModelFacts {
  ModelConfig config;
  SchedulerSource scheduler;
  RequestDefaults defaults;
  std::string name;                            // for people
  int tokens = 77;                             // the padded length of a prompt
  std::optional<TinyVaeConfig> tiny_vae = {};  // named by the options
  OwnTinyVae own_tiny_vae = {};
  std::optional<ModelConfig> refiner = {};  // of EngineOptions::refiner
};
// For the preset that `engine` names, or else for its model, whose headers are read. With `text`, the text encoders
// will run. Throws as open_model does.
ModelFacts model_facts(const EngineOptions& engine, bool text);

// The files that a request starts from, read.
struct StartFiles {
  InputPictures pictures;
  LatentsFile latents;
};
// Throws as read_input_pictures and read_latents do.
StartFiles read_start_files(const Request& request, const ModelFacts& model);

// resolve(), and the files of weights that the request names: adapters, and embeddings of words, also those in
// adapters. A word of textual_inversion replaces an adapter's. In the request the files are then names without paths:
// the text for the metadata. Throws as resolve, Adapters::open and open_words do.
ResolvedRequest resolve_with_files(const Request& request, const ModelFacts& model, const EngineOptions& engine,
                                   Adapters& adapters, const StartFiles& files);
// The same for a request whose prompts are encoded and that draws nothing: its fields for pictures have no effect.
ResolvedRequest resolve_prompts(Request request, const ModelFacts& model, const EngineOptions& engine,
                                Adapters& adapters);

// Plan::adapters.
std::vector<std::string> adapter_files(const ResolvedRequest& request);

// The way to run a request according to the engine options, before any budget. `embedded_tokens`: number of tokens of
// the request's embeddings; nothing when its texts must be encoded.
ProgramOptions program_options(const ModelFacts& model, const ResolvedRequest& request, const EngineOptions& engine,
                               const DeviceChoice& choice, const Target& target, std::optional<int> embedded_tokens);

// The limits in the engine options. Throws Error(invalid_argument) for an invalid budget.
Limits limits_of(const EngineOptions& engine, std::function<std::optional<size_t>()> free);

struct PlannedRequest {
  ResolvedRequest request;
  Fitted fitted;
};

// Throws as model_facts, resolve, fit and lower do. `least_encodings`: the plan has an encoder that runs at least as
// often, also for requests that encode no picture.
PlannedRequest plan_request(const EngineOptions& engine, const Request& request, const DeviceChoice& choice,
                            const Target& target, size_t least_encodings = 0);

}  // namespace tempera
