// A request answered at once: a job of an engine, started, stepped to its end and decoded.
#include "base/error.h"
#include "base/parallel.h"
#include "pipeline/engine.h"

namespace tempera {

class Pipeline::Impl {
 public:
  Impl(EngineOptions options, LogSink log) : engine_(std::move(options), std::move(log)) {}

  Result generate(const Request& request, const Callbacks& callbacks) {
    try {
      return draw(request, callbacks);
    } catch (const Error& error) {
      if (error.code() != ErrorCode::out_of_memory || engine_.planned_peak() == 0) throw;
      fail(ErrorCode::out_of_memory, "{} (planned for this request: {} MiB)", error.message(),
           engine_.planned_peak() >> 20);
    }
  }

  EncodeResult encode(const Request& request, const std::filesystem::path& out, const Callbacks& callbacks) {
    return engine_.encode(request, out, callbacks);
  }

  std::optional<double> joules() { return engine_.joules(); }

 private:
  // While it lives, the engine's programs are traced.
  class Traced {
   public:
    Traced(Engine::Impl& engine, const Callbacks& callbacks) : engine_(engine) {
      if (!callbacks.trace) return;
      tracer_.emplace(engine.backend(), engine.queue(), callbacks.trace);
      engine.executables().watch(&*tracer_);
    }
    ~Traced() { engine_.executables().watch(nullptr); }
    Traced(const Traced&) = delete;
    Traced& operator=(const Traced&) = delete;

    Tracer* tracer() { return tracer_ ? &*tracer_ : nullptr; }

   private:
    Engine::Impl& engine_;
    std::optional<Tracer> tracer_;
  };

  Result draw(const Request& request, const Callbacks& callbacks) {
    const ThreadScope scope(engine_.threads());
    Traced traced(engine_, callbacks);
    const std::unique_ptr<Job::Impl> job = engine_.start(request, callbacks, traced.tracer());
    StageClock clock(job->times, traced.tracer());
    for (size_t loop = 0; loop < job->request().loops.size(); ++loop)
      clock.time(loop_name(job->request(), loop), [&] { denoise(*job, loop, callbacks); });
    Result result;
    for (int i = 0; i < job->images(); ++i) {
      clock.time("decode", [&] { result.images.push_back(engine_.decode(*job, i, callbacks)); });
      if (callbacks.picture) callbacks.picture(i, result.images.back());
    }
    if (traced.tracer() != nullptr) engine_.executables().leave();  // its last copies count too
    result.stages = std::move(job->times);
    result.plan = std::move(job->plan);
    result.measured_peak_bytes = engine_.measured_peak();
    return result;
  }

  // The name in times and progress.
  static const char* loop_name(const ResolvedRequest& r, size_t loop) {
    if (r.loops[loop].refiner) return "refine";
    return loop == 0 ? "denoise" : "second pass";
  }

  // Waits for the device, so that the time is this stage's.
  void denoise(Job::Impl& job, size_t loop, const Callbacks& callbacks) {
    const CheckCancelled check = Engine::Impl::cancelled_check(callbacks);
    const auto steps = job.request().loops[loop].schedule.evaluations.size();
    const auto each = static_cast<size_t>(job.prepared().fitted.options.images_per_forward);
    const auto report = [&](size_t done, size_t first) {
      if (callbacks.progress)
        callbacks.progress({loop_name(job.request(), loop), static_cast<int>(first), job.images(),
                            static_cast<int>(done), static_cast<int>(steps)});
    };
    Job::Impl* const jobs[] = {&job};
    const size_t before_loop = job.step(), count = job.groups() * steps;
    for (size_t done = 0; done < count; done = job.step() - before_loop) {
      const size_t first = done / steps * each;
      if (done % steps == 0) report(0, first);
      engine_.step(jobs, check);
      report(done % steps + 1, first);
    }
    engine_.executables().leave();
    engine_.queue().synchronize();
  }

  Engine::Impl engine_;
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
