// A request answered: resolve, plan, encode text, denoise, decode. Programs and weights are kept for the next request
// that has the same shape.
#include <sys/resource.h>

#include <chrono>

#include "backend/host_memory.h"
#include "base/error.h"
#include "base/parallel.h"
#include "pipeline/decode_stage.h"
#include "pipeline/denoise_stage.h"
#include "pipeline/devices.h"
#include "pipeline/embeddings_file.h"
#include "pipeline/fit.h"
#include "pipeline/metadata.h"
#include "pipeline/programs.h"
#include "pipeline/text_stage.h"
#include "runtime/tracer.h"
#include "source/model_source.h"
#include "source/open.h"
#include "source/tiny_vae.h"
#include "tempera/tempera.h"

namespace tempera {
namespace {

// Seconds per stage of a result, in order of first use, and the spans of a traced one.
class StageClock {
 public:
  StageClock(std::vector<Stage>& stages, Tracer* tracer) : stages_(stages), tracer_(tracer) {}

  void time(const char* name, const std::function<void()>& work) {
    if (tracer_ != nullptr) tracer_->begin_stage(name);
    const auto start = std::chrono::steady_clock::now();
    work();
    add(name, std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
    if (tracer_ != nullptr) tracer_->end_stage();
  }

 private:
  void add(const char* name, double seconds) {
    for (Stage& s : stages_)
      if (s.name == name) {
        s.seconds += seconds;
        return;
      }
    stages_.push_back({name, seconds});
  }
  std::vector<Stage>& stages_;
  Tracer* tracer_;
};

size_t peak_resident_bytes() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<size_t>(usage.ru_maxrss) * 1024;  // Linux counts in KiB
}

}  // namespace

class Pipeline::Impl {
 public:
  Impl(EngineOptions options, LogSink log)
      : options_(std::move(options)),
        log_(std::move(log)),
        choice_(choose_device(options_)),
        source_(open_model_of(options_, log_, false)) {
    if (!options_.tiny_vae.empty()) tiny_vae_ = open_tiny_vae(options_.tiny_vae, source_.path, source_.config.vae);
    if (options_.threads > 0) set_thread_count(options_.threads);
    const MemoryBudget pinned = parse_memory_budget(options_.pinned_memory, "--pinned-memory");
    backend_ =
        open_device(choice_.device, pinned.given() ? std::optional(pinned.of(free_host_memory())) : std::nullopt);
    queue_ = backend_->make_queue();
    free_memory_ = backend_->free_memory();
  }

  Result generate(const Request& request, const Callbacks& callbacks) {
    Result result;
    try {
      generate(request, callbacks, result);
    } catch (const Error& error) {
      if (error.code() != ErrorCode::out_of_memory || result.plan.memory.peak_bytes == 0) throw;
      fail(ErrorCode::out_of_memory, "{} (planned for this request: {} MiB)", error.what(),
           result.plan.memory.peak_bytes >> 20);
    }
    return result;
  }

  EncodeResult encode(const Request& request, const std::filesystem::path& out, const Callbacks& callbacks) {
    check_embeddings_path(out);
    Request both = request;
    both.guidance_scale = 2;  // any above 1: whether the negative prompt will be wanted is not known here
    const ResolvedRequest r = resolved(both);
    EncodeResult result;
    StageClock clock(result.stages, nullptr);
    ProgramOptions program_options{choice_.dtype, options_.attention, options_.eager};
    program_options.placement = first_placement(options_);
    TextPrograms programs;
    clock.time("plan", [&] {
      program_options.tokens = result.tokens = text().tokens();
      programs = build_text_programs(source_.config, text_skips(r.request), backend_->target(), program_options);
      leave_scratch();
      prepare_scratch(scratch_bytes(all_programs(programs)));
    });
    clock.time("text", [&] {
      if (callbacks.progress) callbacks.progress({"text", 0, 1, 0, 1});
      text().encode(r, programs, *backend_, *queue_, *scratch_, nullptr, cancelled_check(callbacks));
    });
    write_embeddings(out, text_embeddings(r), result.tokens, request);
    result.measured_peak_bytes = measured_peak();
    return result;
  }

  std::optional<double> joules() { return backend_->joules(); }

 private:
  // How far a stage is with one of the pictures.
  using Report = std::function<void(const char* stage, int image, size_t step, size_t steps)>;

  void watch(Tracer* tracer) {
    if (text_) text_->watch(tracer);
    if (unet_) unet_->watch(tracer);
    decoder_.watch(tracer);
  }
  struct Unwatched {
    Impl& impl;
    ~Unwatched() { impl.watch(nullptr); }
  };

  void generate(const Request& request, const Callbacks& callbacks, Result& result) {
    ResolvedRequest r = resolved(request);
    const CheckCancelled check = cancelled_check(callbacks);
    const Report report = [&](const char* stage, int image, size_t step, size_t steps) {
      if (callbacks.progress)
        callbacks.progress(
            {stage, image, r.request.num_images_per_prompt, static_cast<int>(step), static_cast<int>(steps)});
    };

    std::optional<Tracer> traced;
    if (callbacks.trace) traced.emplace(*backend_, *queue_, callbacks.trace);
    Tracer* const tracer = traced ? &*traced : nullptr;
    const Unwatched unwatched{*this};  // before the tracer goes
    StageClock clock(result.stages, tracer);
    std::optional<PromptEmbeddings> embeddings;
    clock.time("plan", [&] { embeddings = prepare(r, result.plan); });
    if (!embeddings) {
      clock.time("text", [&] {
        report("text", 0, 0, 1);
        text().encode(r, *fitted_.programs.text, *backend_, *queue_, *scratch_, tracer, check);
        embeddings = text_embeddings(r);
      });
    }
    clock.time("load", [&] {
      report("load", 0, 0, 1);
      // All memory is taken before the long part.
      decoder_.load(fitted_.programs.decoder, *backend_, *queue_, *scratch_, !options_.eager, decoder_weights(), check);
      load_unet(check);
      watch(tracer);
    });
    clock.time("denoise", [&] { denoise_all(r, *embeddings, report, check); });
    unet_->leave();
    clock.time("decode", [&] {
      for (int i = 0; i < r.request.num_images_per_prompt; ++i) result.images.push_back(decode(i, r, report, check));
    });
    if (tracer != nullptr) decoder_.leave();  // its last copies count too
    result.measured_peak_bytes = measured_peak();
  }

  // Programs, plan and memory of a request. Gives the embeddings that came with it, if any.
  std::optional<PromptEmbeddings> prepare(ResolvedRequest& r, Plan& plan) {
    std::optional<EmbeddingsFile> file;
    if (!r.request.prompt_embeds.empty()) file = read_embeddings_for(r);
    ProgramOptions options{choice_.dtype, options_.attention, options_.eager, images_per_forward(r)};
    options.text = !file;
    options.tokens = file ? file->tokens : text().tokens();
    options.decoder = decoder_options(
        options_, options_.tiny_vae.empty() ? std::nullopt : std::optional(tiny_vae_config(*tiny_vae_)));
    options.placement = first_placement(options_);
    RequestShape shape = shape_of(r);
    if (shape != shape_ || options != options_of_shape_) {
      fitted_ = fit(
          source_.config, shape, backend_->target(), options, budget_, [&] { return free_memory_; },
          [&] { return own_tiny_vae(); });
      fitted_.plan.model = source_.path.string();
      shape_ = std::move(shape);
      options_of_shape_ = std::move(options);
      if (backend_->host_visible()) return_freed_memory();
    }
    plan = fitted_.plan;
    leave_scratch();
    prepare_scratch(scratch_bytes(all_programs(fitted_.programs)));
    prepare_latents(r.request.num_images_per_prompt);
    return file ? std::optional(std::move(file->embeddings)) : std::nullopt;
  }

  // Fills latents_. Waits for the device, so that the time is this stage's.
  void denoise_all(const ResolvedRequest& r, const PromptEmbeddings& embeddings, const Report& report,
                   const CheckCancelled& check) {
    const int per_forward = fitted_.options.images_per_forward;
    const Conditioning conditioning = make_conditioning(r, embeddings, per_forward);
    const size_t steps = r.schedule.evaluations.size();
    for (int i = 0; i < r.request.num_images_per_prompt; i += per_forward) {
      const DenoiseJob job{*r.request.seed + static_cast<uint64_t>(i), per_forward, source_.config.unet.in_channels,
                           fitted_.options.two_passes};
      report("denoise", i, 0, steps);
      denoise(
          *unet_, r, conditioning, job, latent(i), [&](size_t done) { report("denoise", i, done, steps); }, check);
    }
    queue_->synchronize();
  }

  std::byte* latent(int picture) const {
    return latents_->data() + static_cast<size_t>(picture) * latent_bytes(fitted_.programs.denoise);
  }

  ResolvedRequest resolved(const Request& request) const {
    return resolve(request, source_.config, {source_.scheduler_config, source_.scheduler_origin}, source_.defaults);
  }

  size_t measured_peak() const { return backend_->host_visible() ? peak_resident_bytes() : backend_->peak_memory(); }

  static CheckCancelled cancelled_check(const Callbacks& callbacks) {
    return [&callbacks] {
      if (callbacks.cancelled && callbacks.cancelled()) fail(ErrorCode::cancelled, "stopped");
    };
  }

  // The text encoders are opened when a request first needs them.
  TextStage& text() {
    if (!text_) {
      open_text_encoders(source_, open_options(options_, log_));
      text_.emplace(source_, log_);
    }
    return *text_;
  }

  PromptEmbeddings text_embeddings(const ResolvedRequest& r) {
    return make_embeddings(r, source_.config,
                           [&](int encoder, const std::string& prompt, int skip) -> const TextFeatures& {
                             return text().features(encoder, prompt, skip);
                           });
  }

  // The request is told what the embeddings were made from, for the metadata of its pictures.
  EmbeddingsFile read_embeddings_for(ResolvedRequest& r) const {
    EmbeddingsFile file = read_embeddings(r.request.prompt_embeds, source_.config);
    if (r.guidance && !file.embeddings.negative) {
      if (!source_.config.force_zeros_for_empty_prompt)
        fail(ErrorCode::bad_file,
             "'{}' has no negative_prompt_embeds, which guidance needs: write it with tempera encode, or turn guidance "
             "off with --guidance-scale 1",
             r.request.prompt_embeds);
      file.embeddings.negative = zeros_like(file.embeddings.positive);
    }
    r.request.prompt = file.prompt;
    r.request.prompt_2 = file.prompt_2;
    r.request.negative_prompt = file.negative_prompt;
    r.request.negative_prompt_2 = file.negative_prompt_2;
    r.request.clip_skip = file.clip_skip;
    return file;
  }

  // A card computes all pictures of a request at once. On the CPU a batch gains nothing and costs memory, and a picture
  // that is computed alone cannot depend on its batch.
  int images_per_forward(const ResolvedRequest& r) const {
    return choice_.device == "cuda" ? r.request.num_images_per_prompt : 1;
  }

  // Also what an earlier request left when it was stopped.
  void leave_scratch() {
    if (text_) text_->leave();
    if (unet_) unet_->leave();
    decoder_.leave();
  }

  void prepare_latents(int pictures) {
    const size_t bytes = static_cast<size_t>(pictures) * latent_bytes(fitted_.programs.denoise);
    if (latents_ && latents_->size() >= bytes) return;
    latents_.reset();
    latents_ = backend_->allocate(bytes);
  }

  // Weights stay; what is bound to other addresses goes.
  void prepare_scratch(size_t bytes) {
    if (scratch_ && scratch_->size() >= bytes) return;
    if (unet_) unet_weights_ = unet_->weights();
    unet_.reset();
    if (text_) text_->unbind();
    decoder_.unbind();
    scratch_.reset();
    scratch_ = backend_->allocate(bytes);
  }

  // An executable that was bound for an equal program is kept, with its recording.
  void load_unet(const CheckCancelled& check) {
    if (unet_ && unet_->loaded() && unet_->program() == fitted_.programs.denoise) return;
    if (unet_) unet_weights_ = unet_->weights();
    unet_.reset();
    unet_.emplace(fitted_.programs.denoise, *backend_, *queue_, *scratch_, unet_weights_);
    unet_->set_replay(!options_.eager);
    unet_weights_ = {};
    if (!unet_->loaded()) unet_->load(*source_.component("unet").weights, check);
  }

  // A budget may ask for it.
  std::optional<TinyVaeConfig> own_tiny_vae() {
    if (!tiny_vae_) tiny_vae_ = open_own_tiny_vae(source_.path, source_.config.vae);
    return tiny_vae_ ? std::optional(tiny_vae_config(*tiny_vae_)) : std::nullopt;
  }

  bool decodes_with_tiny_vae() const { return fitted_.options.decoder.tiny.has_value(); }

  const Checkpoint& decoder_weights() const {
    return decodes_with_tiny_vae() ? *tiny_vae_->component.weights : *source_.component("vae").weights;
  }

  Image decode(int index, const ResolvedRequest& r, const Report& report, const CheckCancelled& check) {
    report("decode", index, 0, fitted_.programs.decoder.grid.count());
    Image image;
    image.width = r.request.width;
    image.height = r.request.height;
    image.rgb =
        decoder_.decode(latent(index), check, [&](size_t done, size_t of) { report("decode", index, done, of); });
    image.seed = *r.request.seed + static_cast<uint64_t>(index);
    EngineOptions chosen = options_;
    if (decodes_with_tiny_vae() && chosen.tiny_vae.empty()) chosen.tiny_vae = kModelsOwnTinyVae;
    image.parameters = parameters_text(r, chosen, source_, fitted_.programs.decoder.grid, image.seed);
    return image;
  }

  EngineOptions options_;
  LogSink log_;
  DeviceChoice choice_;
  ModelSource source_;
  MemoryBudget budget_ = parse_memory_budget(options_.memory_budget);
  size_t free_memory_ = 0;  // before this pipeline took any
  // Of the last request, kept for the next of its shape.
  RequestShape shape_;
  ProgramOptions options_of_shape_;
  Fitted fitted_;
  // The one that the options name, or else, once a budget has asked for it, the model's own.
  std::optional<LoneComponent> tiny_vae_;
  std::unique_ptr<Backend> backend_;
  std::unique_ptr<Queue> queue_;
  std::unique_ptr<Buffer> scratch_;
  std::unique_ptr<Buffer> latents_;  // of all pictures of a request, (h, w, C) f32 each
  // What runs on them goes before them.
  std::optional<TextStage> text_;
  LoadedWeights unet_weights_;
  std::optional<Executable> unet_;
  DecodeStage decoder_;
};

Pipeline::Pipeline(EngineOptions options, LogSink log)
    : impl_(std::make_unique<Impl>(std::move(options), std::move(log))) {}
Pipeline::~Pipeline() = default;
Pipeline::Pipeline(Pipeline&&) noexcept = default;
Pipeline& Pipeline::operator=(Pipeline&&) noexcept = default;

Result Pipeline::generate(const Request& request, const Callbacks& callbacks) {
  return impl_->generate(request, callbacks);
}

EncodeResult Pipeline::encode(const Request& request, const std::filesystem::path& out, const Callbacks& callbacks) {
  return impl_->encode(request, out, callbacks);
}

std::optional<double> Pipeline::joules() {
  return impl_->joules();
}

}  // namespace tempera
