#include "runtime/bench_steps.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "base/error.h"

namespace tempera {

std::string shape_of(const Step& step) {
  std::string text = to_string(step.op);
  for (size_t i = 0; i < step.inputs.size(); ++i)
    text += fmt::format("{}{}", i == 0 ? " " : ", ", to_string(step.inputs[i].desc));
  return text + " -> " + to_string(step.output.desc);
}

double bytes_of(const Step& step) {
  const auto size = [](const Ref& ref) { return static_cast<double>(ref.desc.bytes()); };
  const OpKind kind = kind_of(step.op);
  if (kind == OpKind::embed) return size(step.inputs[0]) + 2 * size(step.output);
  if (kind == OpKind::gather_row) return size(step.inputs[1]) + 2 * size(step.output);
  double bytes = size(step.output);
  for (const Ref& input : step.inputs) bytes += size(input);
  return bytes;
}

std::vector<DistinctStep> distinct_steps(const Program& program) {
  std::vector<DistinctStep> list;
  std::map<std::pair<std::string, uint32_t>, size_t> known;
  for (size_t s = 0; s < program.steps.size(); ++s) {
    const Step& step = program.steps[s];
    const auto [it, added] = known.try_emplace({shape_of(step), step.kernel}, list.size());
    if (added) list.push_back({s});
    DistinctStep& distinct = list[it->second];
    ++(s < program.prologue ? distinct.calls_once : distinct.calls);
  }
  return list;
}

double median(std::vector<double> values) {
  TEMPERA_ASSERT(!values.empty());
  std::ranges::sort(values);
  const size_t n = values.size();
  return n % 2 == 1 ? values[n / 2] : (values[n / 2 - 1] + values[n / 2]) / 2;
}

OpTime op_time(const Step& step, std::string_view kernel, size_t calls, const std::vector<double>& samples,
               const Ceilings& ceilings) {
  const auto n = static_cast<double>(calls);
  OpTime time;
  time.op = name(kind_of(step.op));
  time.kernel = kernel;
  time.shape = shape_of(step);
  time.calls = calls;
  time.seconds = n * median(samples);
  time.least_seconds = n * std::ranges::min(samples);
  time.flops = n * step.flops;
  time.bytes = n * bytes_of(step);
  if (step.flops > 0) {
    const auto ceiling =
        std::ranges::find(ceilings.arithmetic, name(step.inputs[0].desc.dtype), &Ceilings::Arithmetic::dtype);
    TEMPERA_ASSERT(ceiling != ceilings.arithmetic.end());
    time.arithmetic_seconds = time.flops / ceiling->flops_per_second;
  }
  time.memory_seconds = time.bytes / ceilings.memory.bytes_per_second;
  time.floor_seconds = std::max(time.arithmetic_seconds, time.memory_seconds);
  return time;
}

void add(OpTime& sum, const OpTime& more) {
  sum.calls += more.calls;
  sum.seconds += more.seconds;
  sum.least_seconds += more.least_seconds;
  sum.flops += more.flops;
  sum.bytes += more.bytes;
  sum.arithmetic_seconds += more.arithmetic_seconds;
  sum.memory_seconds += more.memory_seconds;
  sum.floor_seconds += more.floor_seconds;
}

void sort_slowest_first(std::vector<OpTime>& times) {
  std::ranges::stable_sort(times, std::ranges::greater(), &OpTime::seconds);
}

std::vector<OpTime> grouped(const std::vector<OpTime>& shapes) {
  std::map<std::pair<std::string, std::string>, OpTime> groups;
  for (const OpTime& shape : shapes) {
    OpTime& group = groups[{shape.op, shape.kernel}];
    group.op = shape.op;
    group.kernel = shape.kernel;
    add(group, shape);
  }
  std::vector<OpTime> list;
  list.reserve(groups.size());
  for (auto& [key, group] : groups) list.push_back(std::move(group));
  sort_slowest_first(list);
  return list;
}

OpTime BenchPart::total() const {
  OpTime sum;
  for (const OpTime& shape : shapes) add(sum, shape);
  return sum;
}

}  // namespace tempera
