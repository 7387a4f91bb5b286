// The objects of an engine: the device, the opened sources, the stages of the shapes in use, executables with their
// memory, and the forwards that step jobs.
#pragma once

#include <deque>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <optional>
#include <vector>

#include "pipeline/devices.h"
#include "pipeline/embeddings_file.h"
#include "pipeline/job.h"
#include "pipeline/planning.h"
#include "pipeline/stage_clock.h"
#include "pipeline/text_stage.h"
#include "runtime/executables.h"
#include "source/adapters.h"
#include "source/sources.h"
#include "source/tiny_vae.h"
#include "tempera/engine.h"

namespace tempera {

class Engine::Impl {
 public:
  Impl(EngineOptions options, LogSink log);

  std::unique_ptr<Job::Impl> start(const Request& request, const Callbacks& callbacks, Tracer* tracer);
  void step(std::span<Job::Impl* const> jobs, const CheckCancelled& check);
  Image decode(Job::Impl& job, int image, const Callbacks& callbacks);
  EncodeResult encode(const Request& request, const std::filesystem::path& out, const Callbacks& callbacks);

  int threads() const { return threads_; }
  Backend& backend() { return *backend_; }
  Queue& queue() { return *queue_; }
  Executables& executables() { return *executables_; }
  size_t measured_peak() const;
  std::optional<double> joules() {
    EnergyMeter* meter = backend_->energy_meter();
    return meter == nullptr ? std::nullopt : meter->joules();
  }
  const Parameters& parameters() const { return executables_->parameters(); }
  // For the last planned request; 0 before.
  size_t planned_peak() const { return planned_peak_; }

  static CheckCancelled cancelled_check(const Callbacks& callbacks);

 private:
  // A denoising step for pictures of several jobs, built when they are first stepped together.
  struct Merged {
    std::shared_ptr<const Prepared> like;  // the options that they share
    LoopShape loop;                        // its size and model
    Batch batch;
    Program program;
  };

  ModelSource& model() { return sources_.model(); }
  const ModelSource& model() const { return sources_.model(); }
  TextStage& text();
  JobEmbeddings text_embeddings(const ResolvedRequest& request);
  JobEmbeddings embeddings_of(const EmbeddingsFile& file, const ResolvedRequest& request) const;
  std::optional<TinyVaeConfig> own_tiny_vae();

  std::shared_ptr<const Prepared> prepare(const ResolvedRequest& request, std::optional<int> embedded_tokens);
  // remember: features of other texts stay.
  Plan with_what_is_held(Plan plan, bool remember) const;
  Parameters::Others others_for(const Prepared& prepared) const;

  // Makes the programs of these jobs, and of a batch of them, the programs in use.
  void use_for(std::span<Job::Impl* const> jobs, const Program* merged);
  std::string settings_text(const Job::Impl& job, int image, const EngineOptions& engine, const TileGrid& tiles) const;
  void place_in_input(const Job::Impl& job, int image, Image& drawn) const;
  // `exact`: only these. With Others::keep, others are dropped when memory is short.
  // component: that of `merged`.
  void activate(const std::vector<std::shared_ptr<const Stages>>& stages, const Program* merged,
                const ComponentRef& component, Parameters::Others others, bool exact);
  const Checkpoint& weights(const ComponentRef& component) const;
  std::vector<Executable*> executables_of(const StageSpec& stage) const;
  void deactivate();
  void warn_once(Job::Impl& job, const std::function<std::string()>& find) const;

  // The pictures and latents that a request starts from, encoded.
  std::vector<StartPicture> start_pictures(const ResolvedRequest& request, const Prepared& prepared, StartFiles files,
                                           const CheckCancelled& check);
  std::vector<float> encode_picture(const StageSpec& stage, std::span<const float> picture,
                                    const CheckCancelled& check);
  std::vector<uint8_t> decode_latent(const StageSpec& stage, const std::byte* latent, const CheckCancelled& check,
                                     const std::function<void(size_t done, size_t of)>& on_tile);
  void begin_first(Job::Impl& job);
  void begin_next(Job::Impl& job, const CheckCancelled& check);
  std::vector<float> redrawn(Job::Impl& job, int image, PictureNoise& noise, const CheckCancelled& check);

  void step_alone(Job::Impl& job, const CheckCancelled& check);
  bool step_together(std::span<Job::Impl* const> jobs, const CheckCancelled& check);
  const Merged* merged_for(std::span<Job::Impl* const> jobs, const Batch& batch);
  Forward& forward_of(const Program& program, const LoopShape& loop, const Batch& batch);
  // The configuration of the UNet of a loop.
  const ModelConfig& config_of(const LoopShape& loop) const { return loop.refiner ? *facts_.refiner : facts_.config; }

  EngineOptions options_;
  LogSink log_;
  const int threads_ = engine_threads(options_);
  DeviceChoice choice_;
  Sources sources_;
  ModelFacts facts_;
  std::optional<Adapters> adapters_;
  AdaptedComponents adapted_;                  // the changes of the job that is stepped or started
  std::optional<TinyVaeConfig> own_tiny_vae_;  // opened when a budget first needed it
  std::unique_ptr<Backend> backend_;
  std::unique_ptr<Queue> queue_;
  Limits limits_;
  size_t free_memory_ = 0;  // before this engine allocated any
  size_t planned_peak_ = 0;
  std::optional<TextStage> text_;
  std::deque<std::shared_ptr<const Prepared>> prepared_;  // the most recently used first
  std::list<Merged> merged_;                              // the same
  std::optional<Executables> executables_;
  // The programs in use, and the owners of those that are not in merged_.
  std::vector<ParameterUse> active_;
  std::vector<std::shared_ptr<const Stages>> active_stages_;
  std::map<const Program*, Executable*> executable_of_;
  std::map<const Executable*, std::unique_ptr<Forward>> forwards_;
};

}  // namespace tempera
