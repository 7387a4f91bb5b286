// bench_ops(): every distinct step of the programs of a request, measured in its program. The program is run from its
// first step to its last, so each step reads the results of the steps before it. One step of each group of equal steps
// is launched several more times and timed. Each run of the program measures all groups once.
#include <fmt/ranges.h>

#include <algorithm>

#include "base/error.h"
#include "base/parallel.h"
#include "measure/bench_bound.h"
#include "pipeline/planning.h"
#include "runtime/bench_steps.h"

namespace tempera {
namespace {

struct PartProgram {
  const Program* program;
  size_t runs;       // per request
  size_t once_runs;  // of its prologue; only the UNet has one, which each forward starts with
};

// The old values of inputs that a step overwrites.
class Overwritten {
 public:
  Overwritten(Executable& executable, const Step& step) : executable_(executable) {
    const size_t begin = step.output.offset, end = begin + step.output.desc.bytes();
    for (const Ref& input : step.inputs) {
      const bool apart =
          input.space != step.output.space || input.offset >= end || input.offset + input.desc.bytes() <= begin;
      if (!apart) saved_.emplace_back(input, executable.read(input));
    }
  }
  void restore() const {
    for (const auto& [ref, bytes] : saved_) executable_.write(ref, bytes);
  }

 private:
  Executable& executable_;
  std::vector<std::pair<Ref, std::vector<std::byte>>> saved_;
};

// One program, measured.
class Measurement {
 public:
  Measurement(const Program& program, BenchDevice& device, const std::function<void()>& on_step,
              const CheckCancelled& check)
      : device_(device),
        on_step_(on_step),
        check_(check),
        bound_(program, device, check),
        distinct_(distinct_steps(program)),
        of_step_(program.steps.size(), nullptr),
        measured_(distinct_.size()) {
    for (size_t i = 0; i < distinct_.size(); ++i) of_step_[distinct_[i].step] = &measured_[i];
    walk([&](Measured& measured, size_t step) { measured.series = device_.series(*bound_, step); });
    once_ = [this] { launch(0, bound_.program().prologue); };  // a generation does not replay it either
    whole_ = device_.prepared([this] { launch(bound_.program().prologue, bound_.program().steps.size()); });
  }

  // Every step and the whole, once.
  void turn() {
    write_random_inputs(*bound_);
    once_samples_.push_back(device_.time(once_));
    whole_samples_.push_back(device_.time(whole_));
    walk([&](Measured& measured, size_t) { measured.samples.push_back(device_.time(measured.series)); });
  }

  BenchPart part(bool once, size_t runs, const Ceilings& ceilings) const {
    const Program& program = bound_.program();
    const std::vector<double>& whole = once ? once_samples_ : whole_samples_;
    BenchPart part{program.name, once, runs, median(whole), std::ranges::min(whole), {}, {}};
    for (size_t i = 0; i < distinct_.size(); ++i) {
      const size_t calls = once ? distinct_[i].calls_once : distinct_[i].calls;
      if (calls == 0) continue;
      const Step& step = program.steps[distinct_[i].step];
      const std::string_view kernel = device_.backend().kernels()[step.kernel].info.name;
      part.shapes.push_back(op_time(step, kernel, calls, measured_[i].samples, ceilings));
    }
    sort_slowest_first(part.shapes);
    part.groups = grouped(part.shapes);
    return part;
  }

 private:
  struct Measured {
    BenchDevice::Series series;
    std::vector<double> samples;
  };

  void launch(size_t begin, size_t end) {
    for (size_t s = begin; s < end; ++s) bound_->run_step(s);
  }

  // Runs the program step by step, and `visit` before every step that is measured for its group.
  void walk(const std::function<void(Measured&, size_t step)>& visit) {
    write_random_inputs(*bound_);
    for (size_t s = 0; s < of_step_.size(); ++s) {
      if (check_) check_();
      if (of_step_[s] != nullptr) {
        const Overwritten before(*bound_, bound_.program().steps[s]);
        visit(*of_step_[s], s);
        before.restore();
      }
      bound_->run_step(s);
      on_step_();
    }
    device_.queue().synchronize();
  }

  BenchDevice& device_;
  const std::function<void()>& on_step_;
  const CheckCancelled& check_;
  BoundProgram bound_;
  std::vector<DistinctStep> distinct_;
  std::vector<Measured*> of_step_;  // null if another step is measured for it
  std::vector<Measured> measured_;
  std::function<void()> once_, whole_;
  std::vector<double> once_samples_, whole_samples_;
};

std::vector<PartProgram> chosen_programs(const BenchOpsOptions& options, const Stages& stages) {
  std::vector<PartProgram> chosen;
  std::vector<std::string> names;
  for (const StageSpec& stage : stages.list) {
    if (stage.name != kEncoderStage) names.push_back(stage.name);
    if (!options.component.empty() && options.component != stage.name) continue;
    for (size_t i = 0; i < stage.programs.size(); ++i)
      chosen.push_back({&stage.programs[i], stage.calls[i] * stage.runs, stage.prologue_runs});
  }
  names.emplace_back(kEncoderStage);  // can be measured for every request
  if (chosen.empty())
    fail(ErrorCode::invalid_argument, "{} is '{}': give one of {}", FieldName{"component"}, options.component,
         fmt::join(names, ", "));
  return chosen;
}

// In what the programs compute where there is arithmetic to count.
std::vector<DType> computing_dtypes(const std::vector<PartProgram>& parts) {
  std::vector<DType> dtypes;
  for (const PartProgram& part : parts)
    for (const Step& step : part.program->steps)
      if (step.flops > 0 && std::ranges::find(dtypes, step.inputs[0].desc.dtype) == dtypes.end())
        dtypes.push_back(step.inputs[0].desc.dtype);
  return dtypes;
}

}  // namespace

BenchOps bench_ops(const BenchOpsOptions& options,
                   const std::function<void(std::string_view, size_t, size_t)>& progress,
                   const std::function<bool()>& cancelled) {
  constexpr int kMostRepeats = 1000;
  if (options.repeats < 1 || options.repeats > kMostRepeats)
    fail(ErrorCode::invalid_argument, "{} is {}: give a number from 1 to {}", FieldName{"repeats"}, options.repeats,
         kMostRepeats);
  const CheckCancelled check = [&] {
    if (cancelled && cancelled()) fail(ErrorCode::cancelled, "stopped");
  };
  const ThreadScope scope(engine_threads(options.engine));
  const DeviceChoice choice = choose_device(options.engine);
  const std::unique_ptr<Backend> backend = open_device(choice.device);
  // Steps are measured alone, so their inputs must be there.
  EngineOptions engine = options.engine;
  engine.offload = "none";
  engine.memory_budget.clear();
  const PlannedRequest planned =
      plan_request(engine, options.request, choice, backend->target(), options.component == kEncoderStage ? 1 : 0);
  const std::vector<PartProgram> parts = chosen_programs(options, planned.fitted.stages);

  BenchOps bench;
  bench.model = planned.fitted.plan.model;
  bench.device = backend->description();
  bench.dtype = name(choice.dtype);
  bench.width = planned.request.request.width;
  bench.height = planned.request.request.height;
  bench.images = planned.request.request.num_images_per_prompt;
  bench.attention = planned.fitted.options.attention;
  bench.eager = planned.fitted.options.eager;
  bench.repeats = options.repeats;
  BenchDevice device(*backend, !options.engine.eager);
  if (progress) progress("ceilings", 0, 1);
  bench.ceilings = measure_ceilings(device, computing_dtypes(parts), check);

  for (const PartProgram& part : parts) {
    const size_t turns = static_cast<size_t>(options.repeats) + 1;  // and the walk that warms up
    size_t done = 0;
    const std::function<void()> on_step = [&] {
      if (progress) progress(part.program->name, ++done, turns * part.program->steps.size());
    };
    Measurement measurement(*part.program, device, on_step, check);
    for (int i = 0; i < options.repeats; ++i) measurement.turn();
    if (part.program->prologue > 0) bench.parts.push_back(measurement.part(true, part.once_runs, bench.ceilings));
    bench.parts.push_back(measurement.part(false, part.runs, bench.ceilings));
  }
  return bench;
}

}  // namespace tempera
