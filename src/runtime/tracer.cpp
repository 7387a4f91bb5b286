#include "runtime/tracer.h"

#include <fmt/format.h>

#include <algorithm>

#include "runtime/bench_steps.h"

namespace tempera {

Tracer::Tracer(Backend& backend, Queue& queue, std::function<void(const TraceEvent&)> sink)
    : backend_(backend), queue_(queue), sink_(std::move(sink)) {}

void Tracer::begin_stage(std::string stage) {
  stage_ = std::move(stage);
  stage_start_ = now();
}

void Tracer::end_stage() {
  queue_.synchronize();
  TraceEvent event;
  event.kind = TraceEvent::Kind::stage;
  event.stage = stage_;
  event.start = stage_start_;
  event.seconds = now() - stage_start_;
  sink_(event);
}

void Tracer::begin(const Program& program, size_t first_step) {
  const size_t most = program.steps.size() + program.segments.size() + 1;
  if (stopwatch_marks_ < most) {
    stopwatch_ = backend_.make_stopwatch(most);
    stopwatch_marks_ = most;
  }
  program_ = &program;
  first_ = first_step;
  queue_.synchronize();  // so that the device and the host reach the first mark at the same time
  run_start_ = now();
  stopwatch_->mark(queue_, 0);
  marks_.clear();
}

void Tracer::after(size_t step) {
  marks_.push_back({step, false});
  stopwatch_->mark(queue_, marks_.size());
}

void Tracer::waits(size_t step) {
  marks_.push_back({step, true});
  stopwatch_->mark(queue_, marks_.size());
}

void Tracer::copied(const Program& program, const Segment& segment, Clock::time_point begin, double seconds) {
  TraceEvent event;
  event.kind = TraceEvent::Kind::copy;
  event.stage = stage_;
  event.component = program.name;
  event.op = "copy";
  const WeightSlot& first = program.weights[segment.first_weight];
  event.shape = segment.weight_count == 1
                    ? first.source.names.front()
                    : fmt::format("{} and {} more", first.source.names.front(), segment.weight_count - 1);
  event.start = std::chrono::duration<double>(begin - origin_).count();
  event.seconds = seconds;
  event.bytes = static_cast<double>(segment.bytes);
  sink_(event);
}

void Tracer::end() {
  queue_.synchronize();
  const double run_end = now();
  if (marks_.empty()) return;  // a program without a prologue
  TraceEvent run;
  run.kind = TraceEvent::Kind::run;
  run.stage = stage_;
  run.component = first_ < program_->prologue ? program_->name + ", once" : program_->name;
  run.start = run_start_;
  run.seconds = run_end - run_start_;
  sink_(run);
  TraceEvent event = run;
  double begin = 0;
  for (size_t i = 0; i < marks_.size(); ++i) {
    const Step& step = program_->steps[marks_[i].step];
    // Measured from the first mark, so that the rounding errors of single times do not add up.
    const double end = std::min(stopwatch_->seconds(0, i + 1), run.seconds);
    event.start = run_start_ + begin;
    event.seconds = std::max(0.0, end - begin);
    if (marks_[i].wait) {
      event.kind = TraceEvent::Kind::wait;
      event.op = "wait";
      event.kernel = event.shape = "";
      event.flops = event.bytes = 0;
    } else {
      event.kind = TraceEvent::Kind::step;
      event.op = name(kind_of(step.op));
      event.kernel = backend_.kernels()[step.kernel].info.name;
      event.shape = shape_of(step);
      event.flops = step.flops;
      event.bytes = bytes_of(step);
    }
    sink_(event);
    begin = std::max(begin, end);
  }
}

}  // namespace tempera
