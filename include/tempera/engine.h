// Several requests at a time, step by step: for servers, previews and programs that look at latents between steps.
//
//   tempera::Engine engine({.model = "models/sdxl"});
//   tempera::Job apple = engine.start({.prompt = "a red apple", .seed = 1});
//   tempera::Job pear = engine.start({.prompt = "a pear", .seed = 2, .scheduler = "dpmpp_2m_karras"});
//   while (!apple.finished() || !pear.finished()) engine.step({&apple, &pear});
//   tempera::save_png("apple.png", engine.decode(apple, 0));
#pragma once

#include <cstddef>
#include <initializer_list>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "tempera/tempera.h"

namespace tempera {

// One request that an engine answers: its place in the schedule, generators and latents. Between two steps a job is at
// rest: others may be stepped, decoded or ended, and it goes on as though nothing had happened. The engine must outlive
// its jobs.
class Job {
 public:
  ~Job();
  Job(Job&&) noexcept;
  Job& operator=(Job&&) noexcept;

  // What the request takes, with what the engine holds for other requests.
  const Plan& plan() const;
  int images() const;

  // Calls of Engine::step that are done, and all that the request takes. Where a batch of pictures is no faster than
  // single ones (on a CPU), pictures are drawn one after the other: their steps follow each other.
  size_t step() const;
  size_t steps() const;
  bool finished() const;
  // Whether an error ended the job in the middle of a step. Such a job cannot be stepped or decoded.
  bool failed() const;

  // The latents of a picture as they are after its last step: shape (C, H, W), as diffusers has them; C, H and W are 4
  // and an eighth of the picture's sides. What a multistep sampler remembers of earlier steps is not part of them.
  // Throws Error(invalid_argument) when there is no such picture, or not as many values.
  std::vector<float> latents(int image) const;
  void set_latents(int image, std::span<const float> values);

  // Seconds that Engine::start took for each stage: "plan", "text", "load".
  const std::vector<Stage>& stages() const;

  class Impl;

 private:
  friend class Engine;
  explicit Job(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

// A model on a device, for several jobs. Parameters, programs and memory belong to the engine and are shared by its
// jobs. Not for several threads at once.
class Engine {
 public:
  // Opens the model's files without reading weights. Throws Error.
  explicit Engine(EngineOptions options, LogSink log = {});
  ~Engine();
  Engine(Engine&&) noexcept;
  Engine& operator=(Engine&&) noexcept;

  // Plans a request, encodes its prompts and loads the parameters that it needs. Throws Error(invalid_argument) before
  // any work when the request cannot be answered.
  Job start(const Request& request, const Callbacks& callbacks = {});

  // One evaluation of each job, none of them finished. Jobs of the same picture size share a batch where that is faster
  // and the memory is there, whatever their samplers, steps, seeds and guidance scales are; results are then equal
  // within the rounding of another batch size (docs/NUMERICS.md), and on a CPU bit for bit. A job is named once. Throws
  // Error(invalid_argument) for a job that is finished or has failed; the jobs whose step an error interrupts have
  // failed. Jobs of other sizes take turns. On a CPU the kernels of another size can read parameters in another form:
  // name such jobs in one call, so that both forms stay packed; between calls for one and the other, what differs is
  // packed anew.
  void step(std::span<Job* const> jobs, const Callbacks& callbacks = {});
  void step(std::initializer_list<Job*> jobs, const Callbacks& callbacks = {}) {
    step(std::span<Job* const>(jobs.begin(), jobs.size()), callbacks);
  }
  void step(Job& job, const Callbacks& callbacks = {}) { step({&job}, callbacks); }

  // The picture of the latents as they are: a preview between steps, the result after the last one.
  Image decode(Job& job, int image, const Callbacks& callbacks = {});

  // As Pipeline::encode.
  EncodeResult encode(const Request& request, const std::filesystem::path& out, const Callbacks& callbacks = {});

  // As Pipeline::joules.
  std::optional<double> joules();
  // As Result::measured_peak_bytes.
  size_t measured_peak_bytes() const;
  // Bytes of parameters that were packed for the device since the engine began, without those that are copied in during
  // runs: equal parameters are packed once.
  size_t bytes_packed() const;

  class Impl;

 private:
  std::unique_ptr<Impl> impl_;
};

}  // namespace tempera
