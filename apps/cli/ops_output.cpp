#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <vector>

#include "bench_output.h"
#include "units.h"

namespace tempera::cli {
namespace {

using Json = nlohmann::ordered_json;

constexpr size_t kShapesShown = 16;

const char* bound_of(const OpTime& time) {
  return time.arithmetic_seconds > time.memory_seconds ? "arithmetic" : "memory";
}

// The unit of arithmetic in a table: GFLOP/s for small machines.
struct FlopsUnit {
  const char* name;
  double scale;
};
FlopsUnit flops_unit(const Ceilings& ceilings) {
  double most = 0;
  for (const Ceilings::Arithmetic& a : ceilings.arithmetic) most = std::max(most, a.flops_per_second);
  return most < 2e12 ? FlopsUnit{"GFLOP/s", 1e9} : FlopsUnit{"TFLOP/s", 1e12};
}

std::string figure(double value) {
  return fmt::format("{:.{}f}", value, value < 10 ? 2 : value < 100 ? 1 : 0);
}

// The columns that every row of measurements has after its name: calls, ms, share, rates, share of the ceiling.
std::string header(const FlopsUnit& unit) {
  return fmt::format("{:>8}{:>11}{:>9}{:>10}{:>9}{:>10}  {:<12}", "calls", "ms", "share", unit.name, "GB/s", "ceiling",
                     "bound");
}
std::string cells(const OpTime& time, double whole_seconds, const FlopsUnit& unit) {
  const std::string flops = time.flops > 0 ? figure(time.flops / time.seconds / unit.scale) : "-";
  return fmt::format("{:>8}{:>11}{:>9}{:>10}{:>9}{:>10}  {:<12}", time.calls, format_milliseconds(time.seconds),
                     format_percent(time.seconds, whole_seconds), flops, figure(time.bytes / time.seconds / 1e9),
                     format_percent(time.floor_seconds, time.seconds), bound_of(time));
}

std::string title(const BenchPart& part) {
  return part.once ? part.component + ", once" : part.component;
}

std::string heading(const BenchOps& bench) {
  std::string text =
      fmt::format("model      {}\ndevice     {}\npicture    {} of {}x{}\ncomputing  {}, {} attention, {}\n",
                  bench.model, bench.device, bench.images, bench.width, bench.height, bench.dtype, bench.attention,
                  bench.eager ? "eager" : "fused");
  const FlopsUnit unit = flops_unit(bench.ceilings);
  text += "ceilings   ";
  for (const Ceilings::Arithmetic& a : bench.ceilings.arithmetic) {
    text += fmt::format("{} {} ({}, {}x{} {}), ", figure(a.flops_per_second / unit.scale), unit.name, a.kernel, a.size,
                        a.size, a.dtype);
  }
  const Ceilings::Memory& memory = bench.ceilings.memory;
  text += fmt::format("{} GB/s ({}, {})\n", figure(memory.bytes_per_second / 1e9), memory.kernel,
                      format_bytes(static_cast<double>(memory.bytes)));
  return text;
}

std::string parts_table(const BenchOps& bench) {
  std::string text = fmt::format("\n{:<24}{:>6}{:>8}{:>14}{:>14}{:>16}\n", "program", "runs", "steps", "ms, whole run",
                                 "ms, by steps", "s, this request");
  double request = 0;
  for (const BenchPart& part : bench.parts) {
    const OpTime total = part.total();
    const double seconds = part.whole_seconds * static_cast<double>(part.runs);
    request += seconds;
    text += fmt::format("{:<24}{:>6}{:>8}{:>14}{:>14}{:>16.3f}\n", title(part), part.runs, total.calls,
                        format_milliseconds(part.whole_seconds), format_milliseconds(total.seconds), seconds);
  }
  return text + fmt::format("{:<66}{:>16.3f}\n", "", request);
}

std::string groups_table(const BenchPart& part, const FlopsUnit& unit) {
  std::string text = fmt::format("\n{:<28}{}\n", title(part) + ": one run", header(unit));
  const OpTime total = part.total();
  for (const OpTime& group : part.groups) {
    text += fmt::format("{:<28}{}\n", group.kernel, cells(group, total.seconds, unit));
  }
  return text + fmt::format("{:<28}{}\n", "all", cells(total, total.seconds, unit));
}

struct ShapeOfRequest {
  const BenchPart* part;
  const OpTime* shape;
  double seconds;
};

std::string shapes_table(const BenchOps& bench, const FlopsUnit& unit) {
  std::vector<ShapeOfRequest> shapes;
  double request = 0;
  for (const BenchPart& part : bench.parts)
    for (const OpTime& shape : part.shapes) {
      shapes.push_back({&part, &shape, shape.seconds * static_cast<double>(part.runs)});
      request += shapes.back().seconds;
    }
  std::ranges::stable_sort(shapes, std::ranges::greater(), &ShapeOfRequest::seconds);
  shapes.resize(std::min(shapes.size(), kShapesShown));
  std::string text = fmt::format("\n{:<28}{}{}\n", "slowest shapes, one run", header(unit), "kernel and shape");
  for (const ShapeOfRequest& one : shapes) {
    OpTime row = *one.shape;
    std::string line = cells(row, request / static_cast<double>(one.part->runs), unit);
    text += fmt::format("{:<28}{}{} {}\n", title(*one.part), line, row.kernel, row.shape);
  }
  return text + "share: of all steps of the request\n";
}

Json time_json(const OpTime& time) {
  Json json = {{"op", time.op}, {"kernel", time.kernel}};
  if (!time.shape.empty()) json["shape"] = time.shape;
  json.update({{"calls", time.calls},
               {"seconds", time.seconds},
               {"least_seconds", time.least_seconds},
               {"flops", time.flops},
               {"bytes", time.bytes},
               {"floor_seconds", time.floor_seconds},
               {"bound", bound_of(time)}});
  return json;
}

Json times_json(const std::vector<OpTime>& times) {
  Json list = Json::array();
  for (const OpTime& time : times) list.push_back(time_json(time));
  return list;
}

}  // namespace

std::string ops_table(const BenchOps& bench) {
  const FlopsUnit unit = flops_unit(bench.ceilings);
  std::string text = heading(bench) + parts_table(bench);
  for (const BenchPart& part : bench.parts) text += groups_table(part, unit);
  return text + shapes_table(bench, unit);
}

nlohmann::ordered_json ceilings_json(const Ceilings& ceilings) {
  Json arithmetic = Json::array();
  for (const Ceilings::Arithmetic& a : ceilings.arithmetic) {
    arithmetic.push_back(
        {{"dtype", a.dtype}, {"kernel", a.kernel}, {"size", a.size}, {"flops_per_second", a.flops_per_second}});
  }
  const Ceilings::Memory& memory = ceilings.memory;
  return {
      {"arithmetic", arithmetic},
      {"memory", {{"kernel", memory.kernel}, {"bytes", memory.bytes}, {"bytes_per_second", memory.bytes_per_second}}}};
}

nlohmann::ordered_json ops_json(const BenchOps& bench) {
  Json parts = Json::array();
  for (const BenchPart& part : bench.parts) {
    const OpTime total = part.total();
    parts.push_back({{"component", part.component},
                     {"once", part.once},
                     {"runs", part.runs},
                     {"steps", total.calls},
                     {"whole_seconds", part.whole_seconds},
                     {"least_whole_seconds", part.least_whole_seconds},
                     {"steps_seconds", total.seconds},
                     {"floor_seconds", total.floor_seconds},
                     {"flops", total.flops},
                     {"groups", times_json(part.groups)},
                     {"shapes", times_json(part.shapes)}});
  }
  return {{"model", bench.model},
          {"device", bench.device},
          {"dtype", bench.dtype},
          {"width", bench.width},
          {"height", bench.height},
          {"images", bench.images},
          {"attention", bench.attention},
          {"eager", bench.eager},
          {"repeats", bench.repeats},
          {"ceilings", ceilings_json(bench.ceilings)},
          {"parts", parts}};
}

}  // namespace tempera::cli
