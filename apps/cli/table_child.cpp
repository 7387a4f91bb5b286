#include "table_child.h"

#include <fmt/format.h>
#include <sys/prctl.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <fstream>
#include <nlohmann/json.hpp>
#include <utility>
#include <vector>

#include "allocator.h"
#include "bench_output.h"
#include "console.h"
#include "interrupt.h"
#include "table_rows.h"
#include "tempera/bench.h"

namespace tempera::cli {
namespace {

using Clock = std::chrono::steady_clock;
using Json = nlohmann::ordered_json;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

void say(const Json& line) {
  print_out(line.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n");
}

// Reports the progress of a run at most ten times a second. It also reads the energy counter, which wraps after
// minutes.
class Watch {
 public:
  explicit Watch(Pipeline& pipeline) : pipeline_(pipeline) {}

  Callbacks callbacks(int run, int runs) {
    Callbacks callbacks;
    callbacks.cancelled = interrupted;
    callbacks.progress = [this, run, runs](const Progress& p) {
      constexpr double kSaySeconds = 0.1, kEnergySeconds = 20;
      if (seconds_since(said_) >= kSaySeconds) {
        said_ = Clock::now();
        say({{"at", fmt::format("{}/{} {}", run + 1, runs, p.stage)}, {"done", p.step}, {"of", p.steps}});
      }
      if (run > 0 && seconds_since(asked_) >= kEnergySeconds) joules();
    };
    return trimmed_after_planning(std::move(callbacks));
  }

  std::optional<double> joules() {
    asked_ = Clock::now();
    return pipeline_.joules();
  }

 private:
  Pipeline& pipeline_;
  Clock::time_point said_, asked_ = Clock::now();
};

void leave_pictures(const TableTask& task, const std::vector<Image>& images) {
  for (size_t i = 0; i < images.size(); ++i) {
    const std::filesystem::path path = picture_file(task, static_cast<int>(i));
    std::ofstream file(path, std::ios::binary);
    file.write(reinterpret_cast<const char*>(images[i].rgb.data()), static_cast<std::streamsize>(images[i].rgb.size()));
    if (!file.flush())
      throw Error(ErrorCode::io,
                  fmt::format("cannot write '{}': is there room, and may it be written?", path.string()));
  }
}

// The value of --dtype: "fp16" for "f16".
std::string option_of(const std::string& dtype) {
  return dtype == "f32" ? "fp32" : dtype == "f16" ? "fp16" : dtype;
}

// The flops of one run. The text encoders run only in the first one: later runs reuse the prompt's embeddings.
double flops_of(const Plan& plan, bool with_text) {
  double flops = plan.flops;
  for (const StagePlan& stage : plan.stages)
    if (!with_text && stage.name.starts_with("text_encoder"))
      flops -= stage.flops * static_cast<double>(stage.runs) + stage.flops_prologue;
  return flops;
}

Json result_json(const Result& last, const std::vector<double>& seconds, int steps, std::optional<double> joules) {
  Json stages = Json::object();
  for (const Stage& stage : last.stages) stages[stage.name] = stage.seconds;
  return {{"dtype", option_of(last.plan.dtype)},
          {"images", last.images.size()},
          {"steps", steps},
          {"seconds", seconds},
          {"stages", stages},
          {"planned_peak_bytes", last.plan.memory.peak_bytes},
          {"measured_peak_bytes", last.measured_peak_bytes},
          {"measured_by", last.plan.device == "cuda" ? "driver" : "resident set"},
          {"flops", flops_of(last.plan, seconds.size() == 1)},
          {"joules", joules ? Json(*joules) : Json()}};
}

Json measure_row(const TableTask& task, Inputs inputs) {
  const TableRow row = find_rows(task.what).at(0);
  inputs.engine = row_engine(row, inputs.engine, inputs.engine.device);
  if (row.images > 0) inputs.request.num_images_per_prompt = row.images;
  if (row.embeddings) {
    inputs.request.prompt.clear();
    inputs.request.negative_prompt.reset();
    inputs.request.prompt_embeds = task.embeddings;
  }
  Pipeline pipeline(inputs.engine, warnings_to_console());
  Watch watch(pipeline);
  std::vector<double> seconds;
  for (int i = 0;; ++i) {
    const bool is_last = i + 1 == task.runs;
    // Not in the first run, whose time is measured from the start of the process.
    const std::optional<double> before = is_last && i > 0 ? watch.joules() : std::nullopt;
    const Clock::time_point start = Clock::now();
    const Result result = pipeline.generate(inputs.request, watch.callbacks(i, task.runs));
    seconds.push_back(seconds_since(start));
    if (i == 0) say({{"pictures", result.images.size()}});
    if (!is_last) continue;
    // Counters are updated at intervals, those of cards every tens of milliseconds. An unchanged counter is no
    // measurement.
    const double spent = before ? watch.joules().value_or(0) - before.value_or(0) : 0;
    leave_pictures(task, result.images);
    return result_json(result, seconds, inputs.request.num_inference_steps.value(),
                       spent > 0 ? std::optional(spent) : std::nullopt);
  }
}

Json write_embeddings(const TableTask& task, const Inputs& inputs) {
  Callbacks callbacks;
  callbacks.cancelled = interrupted;
  const TableRow& row = *std::ranges::find(table_rows(), true, &TableRow::embeddings);
  Pipeline(row_engine(row, inputs.engine, inputs.engine.device), warnings_to_console())
      .encode(inputs.request, task.embeddings, callbacks);
  return Json::object();
}

Json describe_machine(const TableTask& task, const Inputs& inputs) {
  EngineOptions engine = inputs.engine;
  engine.tiny_vae.clear();  // only for the row tiny_vae
  const Plan planned = plan(engine, inputs.request);
  std::vector<std::string> dtypes;
  for (const TableRow& row : find_rows(task.rows)) {
    std::string dtype = row_engine(row, {}, planned.device).dtype;
    if (dtype == "auto") dtype = option_of(planned.dtype);
    if (std::ranges::find(dtypes, dtype) == dtypes.end()) dtypes.push_back(dtype);
  }
  say({{"at", "ceilings"}, {"done", 0}, {"of", 1}});
  const BenchMachine machine = bench_machine(engine, dtypes, interrupted);
  Json libraries = Json::object();
  for (const auto& [library, version] : machine.libraries) libraries[library] = version;
  return {{"device", planned.device},
          {"model", planned.model},
          {"machine",
           {{"device", machine.device},
            {"threads", machine.threads},
            {"memory_bytes", machine.memory_bytes},
            {"libraries", libraries}}},
          {"ceilings", ceilings_json(machine.ceilings)}};
}

Json done(const TableTask& task, const Inputs& inputs) {
  if (task.what == kMachineTask) return describe_machine(task, inputs);
  if (task.what == kEmbeddingsTask) return write_embeddings(task, inputs);
  return measure_row(task, inputs);
}

}  // namespace

std::filesystem::path picture_file(const TableTask& task, int index) {
  return task.pictures / fmt::format("{}-{}.rgb", task.what, index);
}

int run_table_task(const TableTask& task, const Inputs& inputs) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);  // nothing would read the result
  catch_interrupts();
  const auto failed = [](ErrorCode code, const std::string& message) {
    say({{"error", {{"code", static_cast<int>(code)}, {"message", message}}}});
    return 0;
  };
  try {
    say({{"result", done(task, inputs)}});
    return 0;
  } catch (const Error& error) {
    return failed(error.code(), message_of(error));
  } catch (const std::bad_alloc&) {
    return failed(ErrorCode::out_of_memory, "out of memory: ask for smaller pictures or for fewer");
  }
}

}  // namespace tempera::cli
