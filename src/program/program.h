// A program: a graph made executable for one target, as pure data. It has ordered steps, fixed memory offsets, the
// weights of each step and the memory report. It depends on no device and holds no bytes.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "program/kernel.h"
#include "program/memory_plan.h"

namespace tempera {

// The role of the memory that a value is in. The caller of a program owns this memory.
//   arena    activations and kernels' workspaces of one run, planned by lifetime
//   weights  packed parameters that stay; an offset is only a name here, the owner of parameters decides their places
//   io       inputs and outputs, which the caller writes and reads between runs
//   stream   packed parameters that are copied in while they are needed, at offsets in the arena or after it
//   kept     results of the prologue that the body reads in every run; they can survive other programs in between
enum class Space : uint8_t { arena, weights, io, stream, kept };

struct Ref {
  Space space = Space::arena;
  size_t offset = 0;
  TensorDesc desc;
  bool operator==(const Ref&) const = default;
};

// Scratch memory of one step, in the arena.
struct Workspace {
  size_t offset = 0, bytes = 0;
  bool operator==(const Workspace&) const = default;
};

struct Step {
  Op op;
  uint32_t kernel = 0;  // index into Target::kernels
  std::vector<Ref> inputs;
  Ref output;
  Workspace workspace;
  ValueId node = 0;  // of the lowered graph, for dumps and observation
  double flops = 0;
  bool operator==(const Step&) const = default;
};

// The problem of a step's kernel.
Problem problem_of(const Step& step);

// One parameter in the form that one kernel reads.
struct WeightSlot {
  Weight source;
  TensorDesc desc;    // as in the graph
  uint32_t step = 0;  // the (first) step that reads it, and its input index there: they decide how it is packed
  uint32_t input = 0;
  size_t offset = 0, bytes = 0;  // offset in the weights space, or that of its segment
  std::string layout;            // of the packed bytes, see KernelInfo::Packed
  static constexpr uint32_t kResident = ~0u;
  uint32_t segment = kResident;
  bool operator==(const WeightSlot&) const = default;
};

// A parameter in the form that some kernels read. Equal forms of one component are equal bytes.
struct PackedForm {
  std::vector<std::string> names;
  float factor = 1;
  std::string type;    // as in the graph: "f16[320x4x3x3]"
  std::string layout;  // KernelInfo::Packed
  auto operator<=>(const PackedForm&) const = default;
};
PackedForm packed_form(const WeightSlot& slot);

// Parameters that are copied in together: Program::weights [first_weight, first_weight + weight_count).
struct Segment {
  size_t offset = 0, bytes = 0;  // in the arena, or after it
  uint32_t first = 0, last = 0;  // the first and the last step that read it
  uint32_t first_weight = 0, weight_count = 0;
  // When its copy begins: at the start of its part of the program (prologue or body), or after this step, the last
  // reader of the memory that it overwrites. A step that is not before `first` means: for the next run. The first run
  // starts such a copy at the start of the part.
  static constexpr uint32_t kOnEntry = ~0u;
  uint32_t after = kOnEntry;
  bool on_entry() const { return after == kOnEntry || after >= first; }
  bool operator==(const Segment&) const = default;
};

struct IoSlot {
  std::string name;
  Ref ref;
  bool operator==(const IoSlot&) const = default;
};

// Bytes this program needs in addition to the backend's fixed overhead.
struct MemoryReport {
  size_t arena = 0, weights = 0, io = 0;
  size_t stream = 0;  // after the arena, for parameters that are copied in
  size_t kept = 0;
  size_t scratch() const { return arena + stream; }
  size_t peak() const { return scratch() + kept + weights + io; }
  bool operator==(const MemoryReport&) const = default;
};

// Bytes of a region for the scratch memory and the kept values of a program.
inline size_t scratch_bytes(const MemoryReport& memory, size_t alignment) {
  return (memory.scratch() + memory.kept + alignment - 1) / alignment * alignment;
}

struct Program {
  std::string name, target;
  std::vector<Step> steps;
  // Steps [0, prologue) depend only on weights and per-request inputs: they run once per request.
  uint32_t prologue = 0;
  std::vector<Placed> values;  // all values in the arena
  std::vector<WeightSlot> weights;
  std::vector<Segment> segments;  // in the order of their first steps
  std::vector<IoSlot> inputs, outputs;
  MemoryReport memory;
  double flops_prologue = 0, flops_step = 0;

  // Throws Error(internal) when no value has that name.
  const IoSlot& input(std::string_view input_name) const;
  const IoSlot& output(std::string_view output_name) const;

  // Equal programs compute the same result on the same memory.
  bool operator==(const Program&) const = default;
};

struct LowerOptions {
  // Names of kernels that must not be used ("attention/flash").
  std::vector<std::string> exclude;
  // Run steps that depend only on per-request inputs once per request instead of in every step.
  bool hoist = true;
  // Values may share memory when their lifetimes do not overlap. Off only to test that sharing changes no result.
  bool reuse = true;
};

// Bytes of the resident parameters that programs of one component read: each parameter once in each form.
size_t resident_bytes(std::span<const Program* const> programs, size_t alignment);

// Throws Error(unavailable) when every kernel of the target refuses a node, with each kernel's reason.
Program lower(const Graph& graph, const Target& target, const LowerOptions& options = {});

// Steps with kernels and offsets, then weights, io and the memory report. Golden for small graphs.
std::string dump(const Program& program, const Target& target);

}  // namespace tempera
