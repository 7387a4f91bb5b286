// An engine: from a request to a job (plan, texts, parameters), and from a job's latents to a picture. engine_step.cpp
// has the steps in between.
#include "pipeline/engine.h"

#include <sys/resource.h>

#include <algorithm>

#include "backend/host_memory.h"
#include "base/error.h"
#include "base/parallel.h"
#include "pipeline/decode_stage.h"
#include "pipeline/finite.h"
#include "pipeline/metadata.h"
#include "source/open.h"
#include "source/vae_file.h"

namespace tempera {
namespace {

// Shapes of requests whose programs are remembered.
constexpr size_t kMostPrepared = 8;

size_t peak_resident_bytes() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<size_t>(usage.ru_maxrss) * 1024;  // Linux counts in KiB
}

}  // namespace

Engine::Impl::Impl(EngineOptions options, LogSink log)
    : options_(std::move(options)), log_(std::move(log)), choice_(choose_device(options_)) {
  const ThreadScope scope(threads_);
  const MemoryBudget pinned = parse_memory_budget(options_.pinned_memory, "pinned_memory");
  sources_.add(SourceId::model, open_model_of(options_, log_, false));
  facts_ = {
      model().config, {model().scheduler_config, model().scheduler_origin}, model().defaults, model().path.string()};
  adapters_.emplace(facts_.config, log_);
  adapted_.wrap(model());
  facts_.own_tiny_vae = [this] { return own_tiny_vae(); };
  if (!options_.tiny_vae.empty()) {
    LoneComponent tiny = open_tiny_vae_of(options_, model().path, model().config.vae);
    facts_.tiny_vae = tiny_vae_config(tiny);
    sources_.add(SourceId::tiny_vae, std::move(tiny));
  }
  if (!options_.refiner.empty()) {
    ModelSource refiner = open_refiner_of(options_, log_);
    facts_.refiner = refiner.config;
    sources_.add(SourceId::refiner, std::move(refiner));
  }
  backend_ = open_device(choice_.device, pinned.given() ? std::optional(pinned.of(free_host_memory())) : std::nullopt);
  queue_ = backend_->make_queue();
  free_memory_ = backend_->free_memory();
  limits_ = limits_of(options_, [this] { return std::optional(free_memory_); });
  executables_.emplace(*backend_, *queue_, !options_.eager);
}

CheckCancelled Engine::Impl::cancelled_check(const Callbacks& callbacks) {
  return [&callbacks] {
    if (callbacks.cancelled && callbacks.cancelled()) fail(ErrorCode::cancelled, "stopped");
  };
}

size_t Engine::Impl::measured_peak() const {
  return backend_->host_visible() ? peak_resident_bytes() : backend_->peak_memory();
}

// The text encoders are opened when a request first needs them.
TextStage& Engine::Impl::text() {
  if (!text_) {
    open_text_encoders(model(), open_options(options_, log_));
    adapted_.wrap(model());
    text_.emplace(model(), log_);
    facts_.tokens = text_->tokens();
  }
  return *text_;
}

// The refiner reads the features of the model's second text encoder, which has the weights of its own one.
JobEmbeddings Engine::Impl::text_embeddings(const ResolvedRequest& r) {
  const EncodeText encode = [&](int encoder, const std::string& prompt, int skip) -> const TextFeatures& {
    return text().features(encoder, prompt, skip);
  };
  JobEmbeddings embeddings{make_embeddings(r, facts_.config, false, encode), {}};
  if (facts_.refiner) embeddings.refiner = make_embeddings(r, *facts_.refiner, true, encode);
  return embeddings;
}

JobEmbeddings Engine::Impl::embeddings_of(const EmbeddingsFile& file, const ResolvedRequest& r) const {
  JobEmbeddings embeddings{file.embeddings, {}};
  if (!facts_.refiner) return embeddings;
  embeddings.refiner = second_encoder_of(file.embeddings, facts_.config);
  const bool encodes = !facts_.refiner->force_zeros_for_empty_prompt && embeddings.refiner.negative;
  if (encodes && is_zero(*embeddings.refiner.negative))
    fail(ErrorCode::invalid_argument,
         "'{}' has zeros instead of a negative prompt, but the model of {} reads an encoded one: make the file with a "
         "{}",
         r.request.prompt_embeds, FieldName{"refiner"}, FieldName{"negative_prompt"});
  return embeddings;
}

// A budget may choose it.
std::optional<TinyVaeConfig> Engine::Impl::own_tiny_vae() {
  if (!facts_.tiny_vae && !sources_.has(SourceId::tiny_vae)) {
    std::optional<LoneComponent> own = open_own_tiny_vae(model().path, model().config.vae);
    if (!own) return std::nullopt;
    own_tiny_vae_ = tiny_vae_config(*own);
    sources_.add(SourceId::tiny_vae, *std::move(own));
  }
  return facts_.tiny_vae ? facts_.tiny_vae : own_tiny_vae_;
}

std::shared_ptr<const Prepared> Engine::Impl::prepare(const ResolvedRequest& r, std::optional<int> embedded_tokens) {
  RequestShape shape = shape_of(r);
  ProgramOptions asked = program_options(facts_, r, options_, choice_, backend_->target(), embedded_tokens);
  const auto known = std::ranges::find_if(
      prepared_, [&](const auto& prepared) { return prepared->shape == shape && prepared->asked == asked; });
  std::shared_ptr<const Prepared> prepared;
  if (known != prepared_.end()) {
    prepared = *known;
    prepared_.erase(known);
  } else {
    Fitted fitted = fit(facts_.config, shape, backend_->target(), asked, limits_, facts_.own_tiny_vae);
    fitted.plan.model = facts_.name;
    if (fitted.chosen && !limits_.budget.given() && log_)
      log_(LogLevel::warning,
           fmt::format("this request needs more memory than the {} MiB that are free: it runs with {}",
                       free_memory_ >> 20, fitted.plan.residency));
    prepared = std::make_shared<const Prepared>(Prepared{std::move(shape), std::move(asked), std::move(fitted)});
  }
  prepared_.push_front(prepared);
  if (prepared_.size() > kMostPrepared) prepared_.pop_back();
  return prepared;
}

// Under a budget, and where memory is short, nothing is held for other requests.
Parameters::Others Engine::Impl::others_for(const Prepared& prepared) const {
  return prepared.fitted.chosen ? Parameters::Others::drop : Parameters::Others::keep;
}

Plan Engine::Impl::with_what_is_held(Plan plan, bool remember) const {
  size_t held = executables_->bytes_of_others();
  if (backend_->target().host_memory) {
    held += adapters_->host_bytes();
    if (remember && text_) held += text_->bytes_of_others();
  }
  plan.memory.io += held;
  plan.memory.peak_bytes += held;
  return plan;
}

const Checkpoint& Engine::Impl::weights(const ComponentRef& component) const {
  return *sources_.component(component).weights;
}

void Engine::Impl::activate(const std::vector<std::shared_ptr<const Stages>>& stages, const Program* merged,
                            const ComponentRef& component, Parameters::Others others, bool exact) {
  std::vector<ParameterUse> uses;
  for (const auto& list : stages)
    for (const StageSpec& stage : list->list)
      for (const Program& program : stage.programs) uses.push_back({&weights(stage.component), &program});
  if (merged != nullptr) uses.push_back({&weights(component), merged});
  const auto is_active = [&](const ParameterUse& use) { return std::ranges::find(active_, use) != active_.end(); };
  if (std::ranges::all_of(uses, is_active) && (!exact || uses.size() == active_.size())) return;
  deactivate();  // also when memory is short
  std::vector<Executable*> executables;
  try {
    executables = executables_->use(uses, others);
  } catch (const Error& error) {
    if (error.code() != ErrorCode::out_of_memory || others == Parameters::Others::drop) throw;
    executables = executables_->use(uses, Parameters::Others::drop);
  }
  for (size_t i = 0; i < uses.size(); ++i) executable_of_[uses[i].program] = executables[i];
  active_ = std::move(uses);
  active_stages_ = stages;
}

void Engine::Impl::deactivate() {
  for (auto& [executable, forward] : forwards_) forward->park();
  forwards_.clear();
  executable_of_.clear();
  active_.clear();
  active_stages_.clear();
}

std::vector<Executable*> Engine::Impl::executables_of(const StageSpec& stage) const {
  std::vector<Executable*> list;
  for (const Program& program : stage.programs) list.push_back(executable_of_.at(&program));
  return list;
}

std::unique_ptr<Job::Impl> Engine::Impl::start(const Request& request, const Callbacks& callbacks, Tracer* tracer) {
  const ThreadScope scope(threads_);
  planned_peak_ = 0;
  StartFiles files = read_start_files(request, facts_);
  ResolvedRequest r = resolve_with_files(request, facts_, options_, *adapters_, files);
  if (!facts_.tiny_vae && (r.request.output_type != "latent" || r.encodings > 0)) require_vae(model());
  const CheckCancelled check = cancelled_check(callbacks);
  const auto report = [&](const char* stage) {
    if (callbacks.progress) callbacks.progress({stage, 0, r.request.num_images_per_prompt, 0, 1});
  };
  std::vector<Stage> times;
  StageClock clock(times, tracer);
  std::optional<EmbeddingsFile> file;
  std::shared_ptr<const Prepared> prepared;
  Plan plan;
  clock.time("plan", [&] {
    if (!r.request.prompt_embeds.empty()) file = read_embeddings_for(r, facts_.config);
    if (!file) text();
    adapted_.set(r.adapters);
    prepared = prepare(r, file ? std::optional(file->tokens) : std::nullopt);
    // All memory is allocated before the long part.
    activate({stages_of(prepared)}, nullptr, {}, others_for(*prepared), true);
    executables_->leave();  // also ends the copies of an earlier request that was stopped
    plan = with_what_is_held(prepared->fitted.plan, others_for(*prepared) == Parameters::Others::keep);
    plan.adapters = adapter_files(r);
  });
  planned_peak_ = plan.memory.peak_bytes;
  JobEmbeddings embeddings;
  if (file) {
    embeddings = embeddings_of(*file, r);
  } else {
    clock.time("text", [&] {
      report("text");
      std::vector<Executable*> programs;
      for (const StageSpec& stage : prepared->fitted.stages.list)
        if (stage.role == Role::text) programs.push_back(executable_of_.at(&stage.programs.front()));
      text().encode(r, prepared->fitted.stages, programs, others_for(*prepared) == Parameters::Others::keep, check);
      embeddings = text_embeddings(r);
    });
  }
  const std::string warning = embeddings_warning(embeddings.model, facts_.config, [this](std::string_view component) {
    const ComponentSource* part = model().find(component);
    return part == nullptr ? nullptr : part->weights.get();
  });
  std::vector<StartPicture> starts;
  if (!files.pictures.init.empty() || !files.latents.pictures.empty())
    clock.time("encode", [&] {
      report("encode");
      starts = start_pictures(r, *prepared, std::move(files), check);
    });
  std::unique_ptr<Job::Impl> job;
  clock.time("load", [&] {
    report("load");
    for (const StageSpec& stage : prepared->fitted.stages.list)
      if (stage.role != Role::text && stage.role != Role::encode)
        for (Executable* executable : executables_of(stage)) executable->load(check);
    job = std::make_unique<Job::Impl>(prepared, std::move(r), std::move(embeddings), *backend_, *queue_);
    job->starts = std::move(starts);
    begin_first(*job);
  });
  warn_once(*job, [&] { return std::string(warning); });
  job->plan = std::move(plan);
  job->times = std::move(times);
  return job;
}

// The first problem of a job causes those that follow.
void Engine::Impl::warn_once(Job::Impl& job, const std::function<std::string()>& find) const {
  if (job.warned) return;
  const std::string warning = find();
  if (warning.empty()) return;
  job.warned = true;
  if (log_) log_(LogLevel::warning, warning);
}

Image Engine::Impl::decode(Job::Impl& job, int index, const Callbacks& callbacks) {
  const ThreadScope scope(threads_);
  const CheckCancelled check = cancelled_check(callbacks);
  const Prepared& prepared = job.prepared();
  const StageSpec* const stage = prepared.fitted.stages.decoder(job.loop(), prepared.shape);
  const std::byte* latent = job.latent(index);
  Job::Impl* const jobs[] = {&job};
  use_for(jobs, nullptr);
  const ResolvedRequest& r = job.request();
  const Loop& loop = r.loops[job.loop()];
  std::vector<float> latents = job.latents(index);
  const auto report = [&](size_t done, size_t of) {
    if (callbacks.progress)
      callbacks.progress({"decode", index, job.images(), static_cast<int>(done), static_cast<int>(of)});
  };
  Image image;
  image.width = loop.width;
  image.height = loop.height;
  image.seed = *r.request.seed + static_cast<uint64_t>(index);
  warn_once(job, [&] { return latents_warning(latents, weights(prepared.denoise(job.loop()).component)); });
  if (r.request.output_type == "latent") {
    image.latents = std::move(latents);
    image.latent_width = loop.latent_width;
    image.latent_height = loop.latent_height;
  } else {
    report(0, stage->tiles.grid.count());
    image.rgb = decode_latent(*stage, latent, check, report);
    warn_once(job,
              [&] { return picture_warning(image.rgb, latents, stage->component.name, weights(stage->component)); });
    place_in_input(job, index, image);
  }
  EngineOptions chosen = options_;
  if (prepared.fitted.options.decoder.tiny && chosen.tiny_vae.empty()) chosen.tiny_vae = kModelsOwnTinyVae;
  image.parameters = settings_text(job, index, chosen, stage == nullptr ? TileGrid{} : stage->tiles.grid);
  return image;
}

EncodeResult Engine::Impl::encode(const Request& request, const std::filesystem::path& out,
                                  const Callbacks& callbacks) {
  const ThreadScope scope(threads_);
  check_embeddings_path(out);
  Request both = request;
  both.guidance_scale = 2;  // any above 1: it is unknown here whether the negative prompt will be needed
  ResolvedRequest r = resolve_prompts(both, facts_, options_, *adapters_);
  r.request.lora.clear();
  for (AdapterUse& use : r.adapters) {
    use.unet_weight = 0;  // so that a picture's text has the UNet's adapters of its own request
    r.request.lora.push_back(use.text());
  }
  EncodeResult result;
  StageClock clock(result.stages, nullptr);
  std::shared_ptr<const Stages> stages;
  const bool drop = limits_.budget.given();
  clock.time("plan", [&] {
    result.tokens = text().tokens();
    adapted_.set(r.adapters);
    ProgramOptions options = program_options(facts_, r, options_, choice_, backend_->target(), std::nullopt);
    if (drop) options.placement.of(Role::text) = Residency::in_turn;
    stages = std::make_shared<const Stages>(build_text_stages(facts_.config, shape_of(r), backend_->target(), options));
    activate({stages}, nullptr, {}, drop ? Parameters::Others::drop : Parameters::Others::keep, true);
    executables_->leave();
  });
  clock.time("text", [&] {
    if (callbacks.progress) callbacks.progress({"text", 0, 1, 0, 1});
    std::vector<Executable*> programs;
    for (const StageSpec& stage : stages->list) programs.push_back(executable_of_.at(&stage.programs.front()));
    text().encode(r, *stages, programs, !drop, cancelled_check(callbacks));
  });
  write_embeddings(out, text_embeddings(r).model, result.tokens, r.request);
  result.measured_peak_bytes = measured_peak();
  return result;
}

}  // namespace tempera
