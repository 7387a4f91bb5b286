// A traced generation as totals, and as a file for trace viewers.
#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <tuple>

#include "base/atomic_file.h"
#include "tempera/bench.h"

namespace tempera {
namespace {

using Json = nlohmann::ordered_json;

std::string text_of(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

// Numbers of tracks by stage, in order of first use, from 1.
std::map<std::string, int> tracks_of(std::span<const TraceEvent> events) {
  std::map<std::string, int> tracks;
  for (const TraceEvent& event : events) tracks.try_emplace(event.stage, static_cast<int>(tracks.size()) + 1);
  return tracks;
}

std::string metadata(const char* name, int track, std::string_view value) {
  return text_of({{"name", name}, {"ph", "M"}, {"pid", 1}, {"tid", track}, {"args", {{"name", value}}}});
}

// A "complete" event: its times are microseconds.
std::string span_text(const TraceEvent& event, int track) {
  constexpr const char* kKinds[] = {"stage", "run", "step"};
  const bool step = event.kind == TraceEvent::Kind::step;
  Json json = {{"name", event.kind == TraceEvent::Kind::stage ? event.stage : step ? event.op : event.component},
               {"cat", kKinds[static_cast<size_t>(event.kind)]},
               {"ph", "X"},
               {"pid", 1},
               {"tid", track},
               {"ts", event.start * 1e6},
               {"dur", event.seconds * 1e6}};
  if (step) {
    json["args"] = {{"component", event.component}, {"kernel", event.kernel}, {"shape", event.shape},
                    {"flops", event.flops},         {"bytes", event.bytes}};
  }
  return text_of(json);
}

}  // namespace

std::vector<TraceTotal> trace_totals(std::span<const TraceEvent> events) {
  std::map<std::tuple<int, std::string, std::string>, TraceTotal> totals;
  const std::map<std::string, int> tracks = tracks_of(events);
  for (const TraceEvent& event : events) {
    if (event.kind != TraceEvent::Kind::step) continue;
    TraceTotal& total = totals[{tracks.at(event.stage), event.op, event.kernel}];
    total.stage = event.stage;
    total.op = event.op;
    total.kernel = event.kernel;
    ++total.calls;
    total.seconds += event.seconds;
    total.flops += event.flops;
    total.bytes += event.bytes;
  }
  std::vector<TraceTotal> list;
  for (auto& [key, total] : totals) list.push_back(std::move(total));
  std::stable_sort(list.begin(), list.end(), [&tracks](const TraceTotal& a, const TraceTotal& b) {
    return std::pair(tracks.at(a.stage), -a.seconds) < std::pair(tracks.at(b.stage), -b.seconds);
  });
  return list;
}

void save_trace(const std::filesystem::path& path, std::span<const TraceEvent> events, std::string_view title) {
  std::vector<const TraceEvent*> ordered;
  for (const TraceEvent& event : events) ordered.push_back(&event);
  std::stable_sort(ordered.begin(), ordered.end(), [](const TraceEvent* a, const TraceEvent* b) {
    return std::tuple(a->start, a->kind) < std::tuple(b->start, b->kind);  // an outer span may begin with its first
  });
  AtomicFile file(path);
  const auto write = [&file](const std::string& text) { file.append(std::as_bytes(std::span(text))); };
  const std::map<std::string, int> tracks = tracks_of(events);
  write("{\"displayTimeUnit\": \"ms\", \"traceEvents\": [\n" + metadata("process_name", 0, title));
  for (const auto& [stage, track] : tracks) write(",\n" + metadata("thread_name", track, stage));
  for (const TraceEvent* event : ordered) write(",\n" + span_text(*event, tracks.at(event->stage)));
  write("\n]}\n");
  file.commit();
}

}  // namespace tempera
