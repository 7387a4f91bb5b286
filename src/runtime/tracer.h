// The times of a generation, by step and by copy. Marks are put into the device's queue around every launch, read after
// each run, and reported as spans. The cost of tracing is the wait for each run.
#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "runtime/executable.h"
#include "tempera/bench.h"

namespace tempera {

class Tracer final : public StepWatcher {
 public:
  Tracer(Backend& backend, Queue& queue, std::function<void(const TraceEvent&)> sink);

  void begin_stage(std::string stage);
  void end_stage();

  void begin(const Program& program, size_t first_step) override;
  void after(size_t step) override;
  void end() override;
  void waits(size_t step) override;
  void copied(const Program& program, const Segment& segment, std::chrono::steady_clock::time_point begin,
              double seconds) override;

 private:
  using Clock = std::chrono::steady_clock;

  double now() const { return std::chrono::duration<double>(Clock::now() - origin_).count(); }

  Backend& backend_;
  Queue& queue_;
  std::function<void(const TraceEvent&)> sink_;
  Clock::time_point origin_ = Clock::now();
  std::string stage_;
  double stage_start_ = 0, run_start_ = 0;
  const Program* program_ = nullptr;  // of the current run
  size_t first_ = 0;                  // its first step
  // The span that ends at mark 1, 2, ...: a step, or the wait before it.
  struct Mark {
    size_t step;
    bool wait;
  };
  std::vector<Mark> marks_;
  std::unique_ptr<Stopwatch> stopwatch_;
  size_t stopwatch_marks_ = 0;
};

}  // namespace tempera
