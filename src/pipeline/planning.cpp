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

bool has_mask(const Request& r) {
  return !r.mask_image.empty() || std::ranges::any_of(r.extend, [](int pixels) { return pixels > 0; });
}

// The encodings of one picture file for the first loop: of the picture, and of the masked picture.
size_t encodings_of(const ResolvedRequest& r) {
  const Loop& first = r.loops.front();
  return (first.reads_picture() ? 1 : 0) + (first.reads_mask ? 1 : 0);
}

std::optional<ModelConfig> refiner_config(const EngineOptions& engine) {
  if (engine.refiner.empty()) return std::nullopt;
  const auto presets = preset_names();
  if (std::ranges::find(presets, engine.refiner) != presets.end() && !engine.preset.empty())
    return preset(engine.refiner);
  return open_refiner_of(engine, {}).config;
}

ModelFacts preset_facts(const EngineOptions& engine) {
  ModelFacts facts{preset(engine.preset), {std::string(kSdxlScheduler), "preset"}, {}, engine.preset};
  facts.refiner = refiner_config(engine);
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
  facts.refiner = refiner_config(engine);
  return facts;
}

StartFiles read_start_files(const Request& request, const ModelFacts& model) {
  StartFiles files{read_input_pictures(request), {}};
  if (request.latents.empty()) return files;
  if (!files.pictures.init.empty())
    fail(ErrorCode::invalid_argument, "{} and {} are both given: give one of them", FieldName{"init_image"},
         FieldName{"latents"});
  files.latents = read_latents(request.latents, request.latents_index, model.config.vae);
  return files;
}

namespace {

// The adapters and words of a request.
ResolvedRequest with_weights(ResolvedRequest r, const Request& request, const ModelFacts& model,
                             const EngineOptions& engine, Adapters& adapters) {
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

}  // namespace

ResolvedRequest resolve_with_files(const Request& request, const ModelFacts& model, const EngineOptions& engine,
                                   Adapters& adapters, const StartFiles& files) {
  const int unit = model.config.vae.scale();
  RequestInputs inputs{.refiner = model.refiner ? &*model.refiner : nullptr,
                       .pictures = !files.pictures.init.empty(),
                       .masks = has_mask(request),
                       .images = std::max({size_t{1}, files.pictures.init.size(), files.latents.pictures.size()})};
  if (const auto own = own_size(request, files.pictures, unit)) inputs.size = *own;
  if (!files.latents.pictures.empty()) {
    inputs.size = {files.latents.width * unit, files.latents.height * unit};
    inputs.fixed_size = true;
  }
  ResolvedRequest r = resolve(request, model.config, model.scheduler, model.defaults, inputs);
  r.encodings = encodings_of(r) * files.pictures.init.size();
  return with_weights(std::move(r), request, model, engine, adapters);
}

ResolvedRequest resolve_prompts(Request request, const ModelFacts& model, const EngineOptions& engine,
                                Adapters& adapters) {
  request.denoising_end.reset();
  request.denoising_start.reset();
  request.strength.reset();
  request.hires_scale = 1;
  request.hires_size.reset();
  ResolvedRequest r = resolve(request, model.config, model.scheduler, model.defaults, {.only_prompts = true});
  return with_weights(std::move(r), request, model, engine, adapters);
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
  options.refiner = model.refiner;
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
  ResolvedRequest r = resolve_with_files(request, model, engine, adapters, read_start_files(request, model));
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
