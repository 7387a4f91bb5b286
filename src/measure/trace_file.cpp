// A traced generation as totals, and as a file for trace viewers.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
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

// Stages in order of first use: the track of each is its place, counted from 1.
std::vector<std::string> tracks_of(std::span<const TraceEvent> events) {
  std::vector<std::string> tracks;
  for (const TraceEvent& event : events)
    if (std::ranges::find(tracks, event.stage) == tracks.end()) tracks.push_back(event.stage);
  return tracks;
}

int track_of(const std::vector<std::string>& tracks, const std::string& stage) {
  return static_cast<int>(std::ranges::find(tracks, stage) - tracks.begin()) + 1;
}

// Copies run at the same time as the steps of any stage.
int copies_track(const std::vector<std::string>& tracks) {
  return static_cast<int>(tracks.size()) + 1;
}
bool is_copy(const TraceEvent& event) {
  return event.kind == TraceEvent::Kind::copy;
}

// Whole nanoseconds in microseconds. Both ends of a span are rounded, not its length, so that spans stay nested.
double microseconds(double seconds) {
  return std::round(seconds * 1e9) / 1e3;
}

std::string metadata(const char* name, int track, std::string_view value) {
  return text_of({{"name", name}, {"ph", "M"}, {"pid", 1}, {"tid", track}, {"args", {{"name", value}}}});
}

// A "complete" event: its times are microseconds.
std::string span_text(const TraceEvent& event, int track) {
  constexpr const char* kKinds[] = {"stage", "run", "step", "wait", "copy"};
  const bool step = event.kind == TraceEvent::Kind::step;
  const double start = microseconds(event.start), end = microseconds(event.start + event.seconds);
  Json json = {{"name", event.kind == TraceEvent::Kind::stage ? event.stage
                        : event.kind == TraceEvent::Kind::run ? event.component
                                                              : event.op},
               {"cat", kKinds[static_cast<size_t>(event.kind)]},
               {"ph", "X"},
               {"pid", 1},
               {"tid", track},
               {"ts", start},
               {"dur", std::round((end - start) * 1e3) / 1e3}};
  if (step) {
    json["args"] = {{"component", event.component},
                    {"kernel", event.kernel},
                    {"shape", event.shape},
                    {"flops", event.flops},
                    {"bytes", event.bytes}};
  } else if (is_copy(event)) {
    json["args"] = {{"component", event.component}, {"parameters", event.shape}, {"bytes", event.bytes}};
  }
  return text_of(json);
}

}  // namespace

std::vector<TraceTotal> trace_totals(std::span<const TraceEvent> events) {
  std::map<std::tuple<int, std::string, std::string>, TraceTotal> totals;
  const std::vector<std::string> tracks = tracks_of(events);
  for (const TraceEvent& event : events) {
    if (event.kind != TraceEvent::Kind::step) continue;
    TraceTotal& total = totals[{track_of(tracks, event.stage), event.op, event.kernel}];
    total.stage = event.stage;
    total.op = event.op;
    total.kernel = event.kernel;
    ++total.calls;
    total.seconds += event.seconds;
    total.flops += event.flops;
    total.bytes += event.bytes;
  }
  std::vector<TraceTotal> list;
  list.reserve(totals.size());
  for (auto& [key, total] : totals) list.push_back(std::move(total));
  std::stable_sort(list.begin(), list.end(), [&tracks](const TraceTotal& a, const TraceTotal& b) {
    return std::pair(track_of(tracks, a.stage), -a.seconds) < std::pair(track_of(tracks, b.stage), -b.seconds);
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
  const std::vector<std::string> tracks = tracks_of(events);
  write("{\"displayTimeUnit\": \"ms\", \"traceEvents\": [\n" + metadata("process_name", 0, title));
  for (const std::string& stage : tracks) write(",\n" + metadata("thread_name", track_of(tracks, stage), stage));
  if (std::ranges::any_of(events, is_copy)) write(",\n" + metadata("thread_name", copies_track(tracks), "copies"));
  for (const TraceEvent* event : ordered)
    write(",\n" + span_text(*event, is_copy(*event) ? copies_track(tracks) : track_of(tracks, event->stage)));
  write("\n]}\n");
  file.commit();
}

}  // namespace tempera
