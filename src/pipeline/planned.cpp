#include "pipeline/planned.h"

#include "base/error.h"
#include "pipeline/embeddings_file.h"
#include "pipeline/fit.h"
#include "source/open.h"
#include "source/tiny_vae.h"
#include "text/tokenizer.h"

namespace tempera {
namespace {

// SDXL's own, for presets.
constexpr std::string_view kSdxlScheduler = R"({
  "_class_name": "EulerDiscreteScheduler", "beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear",
  "num_train_timesteps": 1000, "prediction_type": "epsilon", "timestep_spacing": "leading", "steps_offset": 1})";

struct Planned {
  ModelConfig config;
  SchedulerSource scheduler;
  RequestDefaults defaults;
  std::string name;
  int tokens = 77;
  std::optional<TinyVaeConfig> tiny_vae = {};  // that the options name
  OwnTinyVae own_tiny_vae = {};
};

// With `text`, the text encoders will run.
Planned planned_model(const EngineOptions& engine, bool text) {
  if (!engine.preset.empty() && !engine.model.empty())
    fail(ErrorCode::invalid_argument, "--preset and --model are both given: give one of them");
  if (!engine.preset.empty()) {
    const ModelConfig config = preset(engine.preset);
    Planned planned{config,
                    {std::string(kSdxlScheduler), "preset"},
                    {},
                    engine.preset,
                    config.text_encoder_2.max_position_embeddings};
    // As the folders that tempera synth writes.
    planned.own_tiny_vae = [name = engine.preset] { return std::optional(tiny_vae_preset(name)); };
    if (engine.tiny_vae == kModelsOwnTinyVae) {
      planned.tiny_vae = planned.own_tiny_vae();
    } else if (!engine.tiny_vae.empty()) {
      planned.tiny_vae = tiny_vae_config(open_tiny_vae(engine.tiny_vae, {}, config.vae));
    }
    return planned;
  }
  const ModelSource source = open_model_of(engine, {}, text);
  const int tokens = !text || source.tokenizer_2.empty() ? source.config.text_encoder_2.max_position_embeddings
                                                         : Tokenizer::from_folder(source.tokenizer_2).max_length();
  Planned planned{
      source.config, {source.scheduler_config, source.scheduler_origin}, source.defaults, source.path.string(), tokens};
  planned.own_tiny_vae = [path = source.path, vae = source.config.vae] {
    const std::optional<LoneComponent> own = open_own_tiny_vae(path, vae);
    return own ? std::optional(tiny_vae_config(*own)) : std::nullopt;
  };
  if (!engine.tiny_vae.empty())
    planned.tiny_vae = tiny_vae_config(open_tiny_vae(engine.tiny_vae, source.path, source.config.vae));
  return planned;
}

}  // namespace

PlannedRequest plan_request(const EngineOptions& engine, const Request& request, const DeviceChoice& choice,
                            const Target& target) {
  const bool text = request.prompt_embeds.empty();
  const Planned model = planned_model(engine, text);
  ResolvedRequest r = resolve(request, model.config, model.scheduler, model.defaults);
  ProgramOptions options{choice.dtype, engine.attention, engine.eager, 1, model.tokens};
  if (choice.device == "cuda") options.images_per_forward = r.request.num_images_per_prompt;
  options.text = text;
  if (!text) options.tokens = read_embeddings(request.prompt_embeds, model.config).tokens;
  options.decoder = decoder_options(engine, model.tiny_vae);
  options.placement = first_placement(engine);
  parse_memory_budget(engine.pinned_memory, "--pinned-memory");  // a mistake there is one here too
  const auto free = [&] { return open_device(choose_device(engine).device)->free_memory(); };
  Fitted fitted = fit(model.config, shape_of(r), target, options, parse_memory_budget(engine.memory_budget), free,
                      model.own_tiny_vae);
  fitted.plan.model = model.name;
  return {std::move(r), std::move(fitted.options), std::move(fitted.programs), std::move(fitted.plan)};
}

}  // namespace tempera
