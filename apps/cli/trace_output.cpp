#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <vector>

#include "bench_output.h"
#include "plan_output.h"
#include "units.h"

namespace tempera::cli {
namespace {

// Stages in the order in which they first began, each with all its seconds.
std::vector<Stage> stages_of(std::span<const TraceEvent> events) {
  std::vector<const TraceEvent*> spans;
  for (const TraceEvent& event : events)
    if (event.kind == TraceEvent::Kind::stage) spans.push_back(&event);
  std::stable_sort(spans.begin(), spans.end(), [](auto* a, auto* b) { return a->start < b->start; });
  std::vector<Stage> stages;
  for (const TraceEvent* span : spans) {
    const auto known =
        std::find_if(stages.begin(), stages.end(), [&](const Stage& stage) { return stage.name == span->stage; });
    if (known == stages.end()) {
      stages.push_back({span->stage, span->seconds});
    } else {
      known->seconds += span->seconds;
    }
  }
  return stages;
}

// A row of the table: its subject, and its seconds by stage.
struct Row {
  std::string label;
  size_t calls = 0;
  std::map<std::string, double> seconds;
  double total() const {
    double sum = 0;
    for (const auto& [stage, value] : seconds) sum += value;
    return sum;
  }
};

std::vector<Row> rows_of(const std::vector<TraceTotal>& totals) {
  std::vector<Row> rows;
  for (const TraceTotal& total : totals) {
    auto row = std::find_if(rows.begin(), rows.end(), [&](const Row& r) { return r.label == total.kernel; });
    if (row == rows.end()) row = rows.insert(rows.end(), Row{total.kernel, 0, {}});
    row->calls += total.calls;
    row->seconds[total.stage] += total.seconds;
  }
  std::stable_sort(rows.begin(), rows.end(), [](const Row& a, const Row& b) { return a.total() > b.total(); });
  return rows;
}

// All copies of parameters, which run at the same time as kernels, and the waits of kernels for them.
struct Copies {
  size_t calls = 0;
  double seconds = 0, bytes = 0;
  Row waits{"waiting for copies", 0, {}};
};

Copies copies_of(std::span<const TraceEvent> events) {
  Copies copies;
  for (const TraceEvent& event : events) {
    if (event.kind == TraceEvent::Kind::wait) {
      ++copies.waits.calls;
      copies.waits.seconds[event.stage] += event.seconds;
    } else if (event.kind == TraceEvent::Kind::copy) {
      ++copies.calls;
      copies.seconds += event.seconds;
      copies.bytes += event.bytes;
    }
  }
  return copies;
}

}  // namespace

std::string trace_table(const Plan& plan, std::span<const TraceEvent> events) {
  std::string text = fmt::format("model      {}\ndevice     {}, {}\npicture    {}x{}\nscheduler  {}\n\n", plan.model,
                                 plan.device, plan.dtype, plan.width, plan.height, plan.scheduler);
  const std::vector<Stage> stages = stages_of(events);
  const std::vector<Row> rows = rows_of(trace_totals(events));
  Row whole{"stage", 0, {}}, kernels{"all kernels", 0, {}}, outside{"outside kernels", 0, {}};
  for (const Stage& stage : stages) whole.seconds[stage.name] = outside.seconds[stage.name] = stage.seconds;
  for (const Row& row : rows) {
    kernels.calls += row.calls;
    for (const auto& [stage, seconds] : row.seconds) {
      kernels.seconds[stage] += seconds;
      outside.seconds[stage] -= seconds;
    }
  }
  const Copies copies = copies_of(events);
  for (const auto& [stage, seconds] : copies.waits.seconds) outside.seconds[stage] -= seconds;
  text += fmt::format("{:<28}{:>9}", "seconds", "calls");
  for (const Stage& stage : stages) text += fmt::format("{:>11}", stage.name);
  text += fmt::format("{:>11}{:>9}\n", "total", "share");
  const auto add = [&](const Row& row) {
    text += fmt::format("{:<28}{:>9}", row.label, row.calls == 0 ? std::string() : std::to_string(row.calls));
    for (const Stage& stage : stages) {
      const auto value = row.seconds.find(stage.name);
      text += fmt::format("{:>11}", value == row.seconds.end() ? "" : fmt::format("{:.4f}", value->second));
    }
    text += fmt::format("{:>11.4f}{:>9}\n", row.total(), format_percent(row.total(), whole.total()));
  };
  for (const Row& row : rows) add(row);
  text += "\n";
  add(kernels);
  if (copies.waits.calls > 0) add(copies.waits);
  add(outside);
  add(whole);
  if (copies.calls > 0)
    text += fmt::format("\n{} copies of parameters ran at the same time as kernels: {} in {:.4f} s, {:.2f} GB/s\n",
                        copies.calls, format_bytes(copies.bytes), copies.seconds, copies.bytes / copies.seconds / 1e9);
  return text;
}

nlohmann::ordered_json trace_json(const Plan& plan, std::span<const TraceEvent> events, const std::string& output) {
  nlohmann::ordered_json stages = nlohmann::ordered_json::array(), ops = stages;
  for (const Stage& stage : stages_of(events)) stages.push_back({{"name", stage.name}, {"seconds", stage.seconds}});
  for (const TraceTotal& total : trace_totals(events)) {
    ops.push_back({{"stage", total.stage},
                   {"op", total.op},
                   {"kernel", total.kernel},
                   {"calls", total.calls},
                   {"seconds", total.seconds},
                   {"flops", total.flops},
                   {"bytes", total.bytes}});
  }
  const Copies copies = copies_of(events);
  nlohmann::ordered_json json = {{"stages", stages},
                                 {"ops", ops},
                                 {"copies",
                                  {{"calls", copies.calls},
                                   {"bytes", copies.bytes},
                                   {"seconds", copies.seconds},
                                   {"waited_seconds", copies.waits.total()}}},
                                 {"plan", plan_json(plan)}};
  if (!output.empty()) json["file"] = output;
  return json;
}

}  // namespace tempera::cli
