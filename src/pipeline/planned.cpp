#include "pipeline/planned.h"

#include "base/error.h"
#include "pipeline/open.h"
#include "text/tokenizer.h"

namespace tempera {
namespace {

// SDXL's own, for presets.
constexpr std::string_view kSdxlScheduler = R"({
  "_class_name": "EulerDiscreteScheduler", "beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear",
  "num_train_timesteps": 1000, "prediction_type": "epsilon", "timestep_spacing": "leading", "steps_offset": 1})";

struct PlannedModel {
  ModelConfig config;
  SchedulerSource scheduler;
  RequestDefaults defaults;
  std::string name;
  int tokens = 77;
};

PlannedModel planned_model(const EngineOptions& engine) {
  if (!engine.preset.empty() && !engine.model.empty())
    fail(ErrorCode::invalid_argument, "--preset and --model are both given: give one of them");
  if (!engine.preset.empty()) {
    const ModelConfig config = preset(engine.preset);
    return {config,
            {std::string(kSdxlScheduler), "preset"},
            {},
            engine.preset,
            config.text_encoder_2.max_position_embeddings};
  }
  const ModelSource source = open_model_of(engine, {});
  const int tokens = source.tokenizer_2.empty() ? source.config.text_encoder_2.max_position_embeddings
                                                : Tokenizer::from_folder(source.tokenizer_2).max_length();
  return {
      source.config, {source.scheduler_config, source.scheduler_origin}, source.defaults, source.path.string(), tokens};
}

}  // namespace

PlannedRequest plan_request(const EngineOptions& engine, const Request& request, const DeviceChoice& choice,
                            const Target& target) {
  const PlannedModel model = planned_model(engine);
  PlannedRequest planned{model.name,
                         resolve(request, model.config, model.scheduler, model.defaults),
                         {choice.dtype, engine.attention, engine.eager, 1, model.tokens},
                         {}};
  if (choice.device == "cuda") planned.options.images_per_forward = planned.request.request.num_images_per_prompt;
  planned.programs = build_programs(model.config, planned.request, target, planned.options);
  return planned;
}

}  // namespace tempera
