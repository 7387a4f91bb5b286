// Several requests at a time, step by step: for servers, previews, and programs that read or change latents between
// steps.
//
//   tempera::Engine engine({.model = "models/sdxl"});
//   tempera::Job apple = engine.start({.prompt = "a red apple", .seed = 1});
//   tempera::Job pear = engine.start({.prompt = "a pear", .seed = 2, .scheduler = "dpmpp_2m_karras"});
//   while (!apple.finished() || !pear.finished()) engine.step({&apple, &pear});
//   tempera::save_picture("apple.png", engine.decode(apple, 0));
#pragma once

#include <cstddef>
#include <initializer_list>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "tempera/tempera.h"

namespace tempera {

// One request of an engine: its position in the schedule, generators and latents. Between two steps of a job, other
// jobs can be stepped, decoded or ended without effect on it. The engine must outlive its jobs.
class Job {
 public:
  ~Job();
  Job(Job&&) noexcept;
  Job& operator=(Job&&) noexcept;

  // Memory and work of the request, with the memory that the engine holds for other requests.
  const Plan& plan() const;
  int images() const;

  // The number of finished calls of Engine::step, and the number that the request needs. On a CPU, a batch of pictures
  // is not faster, so the pictures are computed one after the other. steps() is then the sum over the pictures.
  size_t step() const;
  size_t steps() const;
  bool finished() const;
  // True if an error ended the job in the middle of a step. Such a job cannot be stepped or decoded.
  bool failed() const;

  // The latents of a picture after its last step, in diffusers' shape (C, H, W): C is 4, H and W are an eighth of the
  // picture's sides. The values that a multistep sampler keeps of earlier steps are not part of them. Throws
  // Error(invalid_argument) if there is no such picture, or if the number of values is wrong.
  std::vector<float> latents(int image) const;
  void set_latents(int image, std::span<const float> values);

  // Seconds of Engine::start for each stage: "plan", "text", "load".
  const std::vector<Stage>& stages() const;

  class Impl;

 private:
  friend class Engine;
  explicit Job(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

// A model on a device, for several jobs. Its jobs share parameters, programs and memory. Do not use one Engine from
// several threads at once.
class Engine {
 public:
  // Opens the model's files without reading weights. Throws Error.
  explicit Engine(EngineOptions options, LogSink log = {});
  ~Engine();
  Engine(Engine&&) noexcept;
  Engine& operator=(Engine&&) noexcept;

  // Plans a request, encodes its prompts and loads the parameters that it needs. Throws Error(invalid_argument) before
  // any work if the request is not possible.
  Job start(const Request& request, const Callbacks& callbacks = {});

  // Runs one evaluation of each job. Name each job once. Throws Error(invalid_argument) for a job that is finished or
  // has failed. If an error interrupts a step, the jobs of its batch have failed.
  //
  // Jobs with the same picture size share a batch if that is faster and there is enough memory. Their samplers, steps,
  // seeds and guidance scales may differ. Each result equals that of a job that is stepped alone. On a CPU it is equal
  // bit for bit. On a card the last bits can differ, because kernels for another batch size can round differently. Jobs
  // with different picture sizes run one after the other, and so do jobs with different adapters (Request::lora). When
  // a job has other adapters than the job before it, the parameters that differ are packed again.
  //
  // On a CPU, kernels for different picture sizes can read parameters in different forms. Step jobs of different sizes
  // in one call: then both forms stay packed. In separate calls, the parameters whose forms differ are packed again
  // each time.
  void step(std::span<Job* const> jobs, const Callbacks& callbacks = {});
  void step(std::initializer_list<Job*> jobs, const Callbacks& callbacks = {}) {
    step(std::span<Job* const>(jobs.begin(), jobs.size()), callbacks);
  }
  void step(Job& job, const Callbacks& callbacks = {}) { step({&job}, callbacks); }

  // The picture of the current latents: a preview between steps, the result after the last one.
  Image decode(Job& job, int image, const Callbacks& callbacks = {});

  // As Pipeline::encode.
  EncodeResult encode(const Request& request, const std::filesystem::path& out, const Callbacks& callbacks = {});

  // As Pipeline::joules.
  std::optional<double> joules();
  // As Result::measured_peak_bytes.
  size_t measured_peak_bytes() const;
  // Bytes of parameters that were packed for the device since the engine was made. Parameters that are copied in during
  // runs are not counted. A parameter that several programs read in the same form is counted once.
  size_t bytes_packed() const;

  class Impl;

 private:
  std::unique_ptr<Impl> impl_;
};

}  // namespace tempera
