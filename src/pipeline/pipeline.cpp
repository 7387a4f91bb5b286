// A request answered: resolve, plan, encode text, denoise, decode. Programs and weights are kept for the next request
// that has the same shape.
#include <sys/resource.h>

#include <chrono>

#include "base/error.h"
#include "base/parallel.h"
#include "pipeline/denoise_stage.h"
#include "pipeline/devices.h"
#include "pipeline/metadata.h"
#include "pipeline/model_source.h"
#include "pipeline/open.h"
#include "pipeline/programs.h"
#include "pipeline/text_stage.h"
#include "pipeline/tracer.h"
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
        source_(open_model_of(options_, log_)),
        text_(source_, log_) {
    if (options_.threads > 0) set_thread_count(options_.threads);
    backend_ = open_device(choice_.device);
    queue_ = backend_->make_queue();
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

 private:
  void generate(const Request& request, const Callbacks& callbacks, Result& result) {
    const ResolvedRequest r =
        resolve(request, source_.config, {source_.scheduler_config, source_.scheduler_origin}, source_.defaults);
    const CheckCancelled check = [&] {
      if (callbacks.cancelled && callbacks.cancelled()) fail(ErrorCode::cancelled, "stopped");
    };
    const auto report = [&](const char* stage, int image, size_t step, size_t steps) {
      if (callbacks.progress)
        callbacks.progress(
            {stage, image, r.request.num_images_per_prompt, static_cast<int>(step), static_cast<int>(steps)});
    };

    std::optional<Tracer> traced;
    if (callbacks.trace) traced.emplace(*backend_, *queue_, callbacks.trace);
    Tracer* const tracer = traced ? &*traced : nullptr;
    StageClock clock(result.stages, tracer);
    const int per_forward = images_per_forward(r);
    const ProgramOptions program_options{choice_.dtype, options_.attention, options_.eager, per_forward,
                                         text_.tokens()};
    clock.time("plan", [&] {
      programs_ = build_programs(source_.config, r, backend_->target(), program_options);
      result.plan = make_plan(programs_, r, backend_->target(), program_options);
      result.plan.model = source_.path.string();
      prepare_scratch();
    });
    clock.time("text", [&] {
      report("text", 0, 0, 1);
      text_.encode(r, programs_, *backend_, *queue_, *scratch_, tracer, check);
    });
    const Conditioning conditioning = make_conditioning(
        r, source_.config, per_forward, [&](int encoder, const std::string& text, int skip) -> const TextFeatures& {
          return text_.features(encoder, text, skip);
        });
    clock.time("load", [&] {
      report("load", 0, 0, 1);
      load(unet_, programs_.denoise, Component::unet, check);
      unet_->watch(tracer);  // or nobody: the watcher of an earlier generation is gone
    });

    std::vector<std::vector<float>> latents;
    for (int i = 0; i < r.request.num_images_per_prompt; i += per_forward) {
      const DenoiseJob job{*r.request.seed + static_cast<uint64_t>(i), per_forward, source_.config.unet.in_channels};
      const size_t steps = r.schedule.evaluations.size();
      report("denoise", i, 0, steps);
      clock.time("denoise", [&] {
        const std::vector<float> all = denoise(
            *unet_, r, conditioning, job, [&](size_t done) { report("denoise", i, done, steps); }, check);
        const auto picture = static_cast<std::ptrdiff_t>(all.size() / static_cast<size_t>(per_forward));
        for (auto one = all.begin(); one != all.end(); one += picture) latents.emplace_back(one, one + picture);
      });
    }
    clock.time("load", [&] {
      load(decoder_, programs_.decoder, Component::vae, check);
      decoder_->watch(tracer);
    });
    for (int i = 0; i < r.request.num_images_per_prompt; ++i) {
      report("decode", i, 0, 1);
      clock.time("decode", [&] { result.images.push_back(decode(latents[static_cast<size_t>(i)], r, i, check)); });
      report("decode", i, 1, 1);
    }
    result.measured_peak_bytes = backend_->host_visible() ? peak_resident_bytes() : backend_->peak_memory();
  }

  // A card computes all pictures of a request at once. On the CPU a batch gains nothing and costs memory, and a picture
  // that is computed alone cannot depend on its batch.
  int images_per_forward(const ResolvedRequest& r) const {
    return choice_.device == "cuda" ? r.request.num_images_per_prompt : 1;
  }

  // Weights stay; what is bound to other addresses goes.
  void prepare_scratch() {
    const size_t bytes = scratch_bytes(programs_);
    if (scratch_ && scratch_->size() >= bytes) return;
    for (auto* executable : {&unet_, &decoder_}) {
      if (*executable) (executable == &unet_ ? unet_weights_ : decoder_weights_) = (*executable)->weights();
      executable->reset();
    }
    scratch_.reset();
    scratch_ = backend_->allocate(bytes);
  }

  void load(std::optional<Executable>& executable, const Program& program, Component component,
            const CheckCancelled& check) {
    LoadedWeights& kept = component == Component::unet ? unet_weights_ : decoder_weights_;
    if (executable) kept = executable->weights();
    executable.reset();
    executable.emplace(program, *backend_, *queue_, *scratch_, kept);
    executable->set_replay(!options_.eager);
    kept = {};
    if (!executable->loaded()) executable->load(*source_.component(component).weights, check);
  }

  Image decode(std::vector<float> latents, const ResolvedRequest& r, int index, const CheckCancelled& check) {
    unscale_latents(latents, source_.config.vae);
    decoder_->write_input("latent", latents);
    decoder_->run(check);
    Image image;
    image.width = r.request.width;
    image.height = r.request.height;
    image.rgb.resize(static_cast<size_t>(image.width) * static_cast<size_t>(image.height) * 3);
    decoder_->read_output("image", std::as_writable_bytes(std::span(image.rgb)));
    image.seed = *r.request.seed + static_cast<uint64_t>(index);
    image.parameters = parameters_text(r, options_, source_, image.seed);
    return image;
  }

  EngineOptions options_;
  LogSink log_;
  DeviceChoice choice_;
  ModelSource source_;
  TextStage text_;
  std::unique_ptr<Backend> backend_;
  std::unique_ptr<Queue> queue_;
  std::unique_ptr<Buffer> scratch_;
  Programs programs_;
  LoadedWeights unet_weights_, decoder_weights_;
  std::optional<Executable> unet_, decoder_;
};

Pipeline::Pipeline(EngineOptions options, LogSink log)
    : impl_(std::make_unique<Impl>(std::move(options), std::move(log))) {}
Pipeline::~Pipeline() = default;
Pipeline::Pipeline(Pipeline&&) noexcept = default;
Pipeline& Pipeline::operator=(Pipeline&&) noexcept = default;

Result Pipeline::generate(const Request& request, const Callbacks& callbacks) {
  return impl_->generate(request, callbacks);
}

}  // namespace tempera
