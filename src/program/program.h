// A program: a graph made executable for one target, as pure data. Ordered steps, fixed memory offsets, the weights
// each step reads and the memory report. Knows no device and holds no bytes; printable.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "program/kernel.h"

namespace tempera {

// Where a value lives. arena: activations, planned by lifetime; weights: packed parameters; io: inputs and outputs,
// which the caller fills and reads between runs.
enum class Space : uint8_t { arena, weights, io };

struct Ref {
  Space space = Space::arena;
  size_t offset = 0;
  TensorDesc desc;
};

struct Step {
  Op op;
  uint32_t kernel = 0;  // index into Target::kernels
  std::vector<Ref> inputs;
  Ref output;
  ValueId node = 0;  // of the lowered graph, for dumps and observation
  double flops = 0;
};

// One parameter in the form that one kernel wants.
struct WeightSlot {
  std::vector<std::string> names;  // concatenated along the first dimension
  TensorDesc desc;                 // as the graph has it
  uint32_t step = 0;               // the (first) step that reads it, and as which input: how it is packed
  uint32_t input = 0;
  size_t offset = 0, bytes = 0;  // in the weights space
  std::string layout;            // of the packed bytes, see KernelInfo::Packed
};

// Whether two programs expect the same bytes at the same places: then one packing serves both.
bool same_packing(std::span<const WeightSlot> a, std::span<const WeightSlot> b);

struct IoSlot {
  std::string name;
  Ref ref;
};

// Bytes this program needs beside the backend's fixed overhead.
struct MemoryReport {
  size_t arena = 0, workspace = 0, weights = 0, io = 0;
  size_t peak() const { return arena + workspace + weights + io; }
};

struct Program {
  std::string name, target;
  std::vector<Step> steps;
  // Steps [0, prologue) depend on weights and per-request inputs alone: run once per request.
  uint32_t prologue = 0;
  std::vector<WeightSlot> weights;
  std::vector<IoSlot> inputs, outputs;
  MemoryReport memory;
  double flops_prologue = 0, flops_step = 0;

  // Throws Error(internal) when there is none of that name.
  const IoSlot& input(std::string_view input_name) const;
  const IoSlot& output(std::string_view output_name) const;
};

struct LowerOptions {
  // Kernels never to take, by name ("attention/flash").
  std::vector<std::string> exclude;
  // Run what depends on per-request inputs alone once per request instead of every step.
  bool hoist = true;
  // Let values share memory when their lifetimes do not overlap. Off only to test that sharing changes nothing.
  bool reuse = true;
};

// Throws Error(unavailable) when no kernel of the target takes a node, with each kernel's reason.
Program lower(const Graph& graph, const Target& target, const LowerOptions& options = {});

// Steps with kernels and offsets, then weights, io and the memory report. Golden for small graphs.
std::string dump(const Program& program, const Target& target);

}  // namespace tempera
