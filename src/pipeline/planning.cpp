#include "pipeline/planning.h"

#include <algorithm>

#include "base/error.h"
#include "pipeline/embeddings_file.h"
#include "source/locate.h"
#include "source/open.h"
#include "source/tiny_vae.h"
#include "source/vae_file.h"
#include "text/tokenizer.h"

namespace tempera {
namespace {

// SDXL's own, for presets.
constexpr std::string_view kSdxlScheduler = R"({
  "_class_name": "EulerDiscreteScheduler", "beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear",
  "num_train_timesteps": 1000, "prediction_type": "epsilon", "timestep_spacing": "leading", "steps_offset": 1})";

ModelFacts preset_facts(const EngineOptions& engine) {
  ModelFacts facts{preset(engine.preset), {std::string(kSdxlScheduler), "preset"}, {}, engine.preset};
  facts.tokens = facts.config.text_encoder_2.max_position_embeddings;
  if (!engine.vae.empty()) {
    const ReplacingVae opened = open_vae(engine.vae, engine.variant);
    const auto& config = std::get<VaeConfig>(opened.vae.config);
    facts.config.vae = opened.has_config ? config : with_latents_of(config, facts.config.vae);
    check(facts.config, engine.vae);
  }
  // As the folders that synth() writes.
  facts.own_tiny_vae = [name = engine.preset] { return std::optional(tiny_vae_preset(name)); };
  if (engine.tiny_vae == kModelsOwnTinyVae) {
    facts.tiny_vae = facts.own_tiny_vae();
  } else if (!engine.tiny_vae.empty()) {
    facts.tiny_vae = tiny_vae_config(open_tiny_vae_of(engine, {}, facts.config.vae));
  }
  return facts;
}

// The device that would run, if there is one.
std::optional<size_t> free_memory_here(const EngineOptions& engine, const DeviceChoice& choice) {
  if (!has_device(choice.device)) return std::nullopt;
  return open_device(choose_device(engine).device)->free_memory();
}

}  // namespace

ModelFacts model_facts(const EngineOptions& engine, bool text) {
  if (!engine.preset.empty() && !engine.model.empty())
    fail(ErrorCode::invalid_argument, "{} and {} are both given: give one of them", FieldName{"preset"},
         FieldName{"model"});
  if (!engine.preset.empty()) return preset_facts(engine);
  const ModelSource source = open_model_of(engine, {}, text);
  if (engine.tiny_vae.empty()) require_vae(source);
  ModelFacts facts{
      source.config, {source.scheduler_config, source.scheduler_origin}, source.defaults, source.path.string()};
  facts.tokens = !text || source.tokenizer_2.empty() ? source.config.text_encoder_2.max_position_embeddings
                                                     : Tokenizer::from_folder(source.tokenizer_2).max_length();
  facts.own_tiny_vae = [path = source.path, vae = source.config.vae] {
    const std::optional<LoneComponent> own = open_own_tiny_vae(path, vae);
    return own ? std::optional(tiny_vae_config(*own)) : std::nullopt;
  };
  if (!engine.tiny_vae.empty())
    facts.tiny_vae = tiny_vae_config(open_tiny_vae_of(engine, source.path, source.config.vae));
  return facts;
}

ResolvedRequest resolve_with_files(const Request& request, const ModelFacts& model, const EngineOptions& engine,
                                   Adapters& adapters) {
  ResolvedRequest r = resolve(request, model.config, model.scheduler, model.defaults);
  r.adapters = adapters.open(engine, request.lora);
  r.request.lora.clear();
  for (AdapterUse& use : r.adapters) {
    if (!request.prompt_embeds.empty()) use.text_weight = 0;  // no text encoder runs
    r.request.lora.push_back(use.text());
  }
  r.words = open_words(engine, request, model.config);
  r.request.textual_inversion.clear();
  for (const WordEmbedding& word : r.words)
    r.request.textual_inversion.push_back(fmt::format("{}:{}", model_label(word.file), word.word));
  for (const AdapterUse& use : r.adapters)
    for (const WordEmbedding& word : use.adapter->words)
      if (std::ranges::find(r.words, word.word, &WordEmbedding::word) == r.words.end()) r.words.push_back(word);
  return r;
}

std::vector<std::string> adapter_files(const ResolvedRequest& r) {
  std::vector<std::string> files;
  for (const AdapterUse& use : r.adapters) files.push_back(use.adapter->path.string());
  for (const WordEmbedding& word : r.words)
    if (!word.file.empty()) files.push_back(word.file.string());
  return files;
}

ProgramOptions program_options(const ModelFacts& model, const ResolvedRequest& r, const EngineOptions& engine,
                               const DeviceChoice& choice, const Target& target, std::optional<int> embedded_tokens) {
  ProgramOptions options{choice.dtype, engine.attention, engine.eager};
  // Elsewhere a batch gains nothing and costs memory, and a picture that is computed alone cannot depend on its batch.
  if (target.batches_pictures) options.images_per_forward = r.request.num_images_per_prompt;
  options.text = !embedded_tokens;
  options.tokens = embedded_tokens.value_or(model.tokens);
  options.decoder = decoder_options(engine, model.tiny_vae);
  options.placement = first_placement(engine);
  return options;
}

Limits limits_of(const EngineOptions& engine, std::function<std::optional<size_t>()> free) {
  return {parse_memory_budget(engine.memory_budget), std::move(free), engine.offload == "auto"};
}

PlannedRequest plan_request(const EngineOptions& engine, const Request& request, const DeviceChoice& choice,
                            const Target& target, size_t least_encodings) {
  const bool text = request.prompt_embeds.empty();
  const ModelFacts model = model_facts(engine, text);
  Adapters adapters(model.config, {});
  ResolvedRequest r = resolve_with_files(request, model, engine, adapters);
  r.encodings = std::max(r.encodings, least_encodings);
  std::optional<int> embedded_tokens;
  if (!text) embedded_tokens = read_embeddings_for(r, model.config).tokens;
  parse_memory_budget(engine.pinned_memory, "pinned_memory");  // a mistake there is one here too
  const ProgramOptions options = program_options(model, r, engine, choice, target, embedded_tokens);
  const Limits limits = limits_of(engine, [&] { return free_memory_here(engine, choice); });
  Fitted fitted = fit(model.config, shape_of(r), target, options, limits, model.own_tiny_vae);
  fitted.plan.model = model.name;
  fitted.plan.adapters = adapter_files(r);
  if (target.host_memory) {
    fitted.plan.memory.io += adapters.host_bytes();
    fitted.plan.memory.peak_bytes += adapters.host_bytes();
  }
  return {std::move(r), std::move(fitted)};
}

}  // namespace tempera
