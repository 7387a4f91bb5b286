// A program as text: each step with its kernel and the addresses of its operands, then weights, segments, inputs and
// outputs and the memory report. Steps have numbers and addresses are offsets, so that two ways of lowering a graph can
// be compared line by line.
#include "base/error.h"
#include "program/program.h"

namespace tempera {
namespace {

std::string to_string(const Ref& ref) {
  static constexpr std::string_view kSpaces[] = {"arena", "weights", "io", "stream", "kept"};
  return fmt::format("{}+{:#x}:{}", kSpaces[static_cast<size_t>(ref.space)], ref.offset, to_string(ref.desc));
}

}  // namespace

std::string dump(const Program& program, const Target& target) {
  std::string out = fmt::format("program {} for {}\n", program.name, program.target);
  for (uint32_t s = 0; s < program.steps.size(); ++s) {
    const Step& step = program.steps[s];
    if (s == 0 && program.prologue > 0) out += "once per request:\n";
    if (s == program.prologue && program.prologue > 0) out += "per step:\n";
    out += fmt::format("{} {} by {}\n", s, to_string(step.op), target.kernels[step.kernel]->name);
    for (const Ref& input : step.inputs) out += fmt::format("    <- {}\n", to_string(input));
    out += fmt::format("    -> {}\n", to_string(step.output));
    if (step.workspace.bytes > 0)
      out += fmt::format("    with arena+{:#x}, {} bytes\n", step.workspace.offset, step.workspace.bytes);
  }
  for (const WeightSlot& w : program.weights)
    out +=
        fmt::format("weight {}{} {} at {:#x}, {} bytes{}\n", fmt::join(w.source.names, " | "),
                    w.source.factor == 1 ? "" : fmt::format(" times {}", w.source.factor), to_string(w.desc), w.offset,
                    w.bytes, w.segment == WeightSlot::kResident ? "" : fmt::format(", segment {}", w.segment));
  for (const Segment& g : program.segments)
    out += fmt::format("segment of {} bytes at {:#x} for steps {} to {}{}{}\n", g.bytes, g.offset, g.first, g.last,
                       g.on_entry() ? ", on entry" : "",
                       g.after == Segment::kOnEntry ? "" : fmt::format(", after step {}", g.after));
  for (const IoSlot& slot : program.inputs) out += fmt::format("input {} {}\n", slot.name, to_string(slot.ref));
  for (const IoSlot& slot : program.outputs) out += fmt::format("output {} {}\n", slot.name, to_string(slot.ref));
  const MemoryReport& m = program.memory;
  out += fmt::format("memory: arena {}, kept {}, weights {}, io {}, peak {}\n", m.arena, m.kept, m.weights, m.io,
                     m.peak());
  if (!program.segments.empty())
    out += fmt::format("stream: {} behind the arena, {} segments\n", m.stream, program.segments.size());
  return out;
}

}  // namespace tempera
