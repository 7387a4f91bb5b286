// From graph to program in four steps: choose a kernel for each node, order the steps (constants per request first),
// assign storage to values (views and in-place results share it), and place storage by lifetime.
#include <algorithm>
#include <map>
#include <set>

#include "base/error.h"
#include "program/program.h"

namespace tempera {
namespace {

constexpr uint32_t kNone = ~0u;

class Lowering {
 public:
  Lowering(const Graph& graph, const Target& target, const LowerOptions& options)
      : graph_(graph),
        target_(target),
        options_(options),
        storage_(graph.nodes().size(), kNone),
        overwrites_(graph.nodes().size(), kNone) {}

  Program run() {
    program_.name = graph_.name();
    program_.target = target_.name;
    find_overwrites();
    order_steps();
    place_io();
    find_storage();
    place_kept();
    place_arena();
    emit_steps();
    return std::move(program_);
  }

 private:
  // Storage shared by a value, its views, and results written over it.
  struct Storage {
    Lifetime lifetime;
    Ref ref;  // its place; desc unused
    bool in_arena = true;
  };

  size_t round_up(size_t n) const { return (n + target_.alignment - 1) / target_.alignment * target_.alignment; }

  static bool is_step(const Node& node) {
    const OpKind kind = kind_of(node.op);
    return kind != OpKind::input && kind != OpKind::weight && kind != OpKind::view;
  }

  bool is_view(ValueId id) const { return kind_of(graph_.node(id).op) == OpKind::view; }

  // The value at the end of a chain of views.
  ValueId base(ValueId id) const {
    while (is_view(id)) id = graph_.node(id).inputs[0];
    return id;
  }

  // The outputs that are written over an input.
  void find_overwrites() {
    for (const Output& output : graph_.outputs()) {
      if (output.over_input.empty()) continue;
      ValueId state = 0;
      const auto is_it = [&](const Node& node) {
        const auto* input = std::get_if<Input>(&node.op);
        return input != nullptr && input->name == output.over_input;
      };
      while (state < graph_.nodes().size() && !is_it(graph_.node(state))) ++state;
      TEMPERA_ASSERT(state < graph_.nodes().size());
      TEMPERA_ASSERT(graph_.desc(state) == graph_.desc(output.value));
      TEMPERA_ASSERT(std::find(overwrites_.begin(), overwrites_.end(), state) == overwrites_.end());
      overwrites_[base(output.value)] = state;
    }
  }

  void order_steps() {
    std::vector<bool> varies(graph_.nodes().size());
    for (ValueId state : overwrites_)
      if (state != kNone) varies[state] = true;
    std::vector<ValueId> body;
    for (ValueId id = 0; id < graph_.nodes().size(); ++id) {
      const Node& node = graph_.node(id);
      if (const auto* input = std::get_if<Input>(&node.op)) varies[id] = varies[id] || input->rate == Rate::step;
      for (ValueId i : node.inputs) varies[id] = varies[id] || varies[i];
      if (!is_step(node)) continue;
      if (varies[id] || !options_.hoist) {
        body.push_back(id);
      } else {
        order_.push_back(id);
      }
    }
    // In a graph with nothing per step, everything is body: there is no request over which to amortise.
    const bool all_constant = body.empty();
    if (all_constant) body = std::exchange(order_, {});
    program_.prologue = static_cast<uint32_t>(order_.size());
    order_.insert(order_.end(), body.begin(), body.end());
    position_.assign(graph_.nodes().size(), kNone);
    for (uint32_t i = 0; i < order_.size(); ++i) position_[order_[i]] = i;
  }

  uint32_t new_storage(Storage s) {
    storages_.push_back(s);
    return static_cast<uint32_t>(storages_.size() - 1);
  }

  Ref take_io(const TensorDesc& desc) {
    const Ref ref{Space::io, program_.memory.io, desc};
    program_.memory.io += round_up(desc.bytes());
    return ref;
  }

  void place_io() {
    for (ValueId id = 0; id < graph_.nodes().size(); ++id) {
      const auto* input = std::get_if<Input>(&graph_.node(id).op);
      if (input == nullptr) continue;
      const Ref ref = take_io(graph_.desc(id));
      storage_[id] = new_storage({{}, ref, false});
      program_.inputs.push_back({input->name, ref});
    }
    for (const Output& output : graph_.outputs()) {
      const ValueId value = base(output.value);
      TEMPERA_ASSERT(is_step(graph_.node(value)) && storage_[value] == kNone);
      storage_[value] = overwrites_[value] == kNone ? new_storage({{}, take_io(graph_.desc(output.value)), false})
                                                    : storage_[overwrites_[value]];
      Ref ref = storages_[storage_[value]].ref;
      ref.desc = graph_.desc(output.value);
      program_.outputs.push_back({output.name, ref});
    }
  }

  Problem problem(ValueId id) const {
    const Node& node = graph_.node(id);
    Problem p{node.op, {}, node.output};
    for (ValueId i : node.inputs) p.inputs.push_back(graph_.desc(i));
    return p;
  }

  uint32_t choose_kernel(const Problem& p, bool over_input) const {
    std::string reasons;
    for (uint32_t k = 0; k < target_.kernels.size(); ++k) {
      const KernelInfo& kernel = *target_.kernels[k];
      if (kernel.op != kind_of(p.op)) continue;
      const bool excluded =
          std::find(options_.exclude.begin(), options_.exclude.end(), kernel.name) != options_.exclude.end();
      const auto reason = excluded                         ? std::optional<std::string>("is excluded")
                          : over_input && !kernel.in_place ? "cannot write over its input"
                          : kernel.refuse                  ? kernel.refuse(p)
                                                           : std::nullopt;
      if (!reason) return k;
      reasons += fmt::format("; {} {}", kernel.name, *reason);
    }
    fail(ErrorCode::unavailable, "{}: no kernel runs {} to {} on {}{}", graph_.name(), to_string(p.op),
         to_string(p.output), target_.name, reasons.empty() ? "; it has none for this op" : reasons);
  }

  // The last step that reads each value through any view. Values of the prologue that the body reads live through the
  // whole body, since the body runs again.
  void find_last_uses() {
    last_use_.assign(graph_.nodes().size(), 0);
    const auto end = static_cast<uint32_t>(order_.size());
    for (uint32_t s = 0; s < end; ++s)
      for (ValueId i : graph_.node(order_[s]).inputs) {
        const ValueId value = base(i);
        const bool crosses =
            position_[value] != kNone && position_[value] < program_.prologue && s >= program_.prologue;
        last_use_[value] = std::max(last_use_[value], crosses ? end : s);
      }
  }

  // Whether the node is the last reader of the input that it is written over, and so must run in place. No later step
  // may read the input.
  bool runs_over_input(ValueId id) const {
    const ValueId state = overwrites_[id];
    if (state == kNone || last_use_[state] < position_[id]) return false;
    const auto& inputs = graph_.node(id).inputs;
    const bool reads = std::any_of(inputs.begin(), inputs.end(), [&](ValueId i) { return base(i) == state; });
    if (last_use_[state] > position_[id] || (reads && !(base(inputs[0]) == state && read_once(id, state))))
      fail(ErrorCode::internal, "internal error: {}: input {} is read after {} was written over it", graph_.name(),
           std::get<Input>(graph_.node(state).op).name, to_string(graph_.node(id).op));
    return reads;
  }

  void find_storage() {
    find_last_uses();
    kernels_.resize(order_.size());
    for (uint32_t s = 0; s < order_.size(); ++s) {
      const ValueId id = order_[s];
      const Problem p = problem(id);
      kernels_[s] = choose_kernel(p, runs_over_input(id));
      workspaces_.push_back({round_up(target_.kernels[kernels_[s]]->workspace(p)), s, s});
      if (storage_[id] != kNone) continue;  // an output
      const ValueId first = graph_.node(id).inputs.empty() ? id : base(graph_.node(id).inputs[0]);
      const bool dies_here = first != id && storage_[first] != kNone && storages_[storage_[first]].in_arena &&
                             last_use_[first] == s && storages_[storage_[first]].lifetime.last <= s;
      // With a tail, an f32 x can have the bytes of a bf16 or f16 result, but not its elements.
      const bool same_size =
          first != id && p.inputs[0].shape == p.output.shape && p.inputs[0].bytes() == p.output.bytes();
      if (options_.reuse && target_.kernels[kernels_[s]]->in_place && dies_here && same_size && read_once(id, first)) {
        storage_[id] = storage_[first];
      } else {
        storage_[id] = new_storage({{round_up(p.output.bytes()), s, s}, {}, true});
      }
      Lifetime& lifetime = storages_[storage_[id]].lifetime;
      lifetime.last = std::max(lifetime.last, std::max(last_use_[id], s));
    }
  }

  // Whether the node reads `value` only as its first input. An in-place kernel must not overwrite its other inputs.
  bool read_once(ValueId id, ValueId value) const {
    const auto& inputs = graph_.node(id).inputs;
    return std::count_if(inputs.begin(), inputs.end(), [&](ValueId i) { return base(i) == value; }) == 1;
  }

  // Values that the prologue computes for the body must survive other programs between two runs. So they have a space
  // of their own, one after the other: all of them are read in every run.
  void place_kept() {
    for (Storage& storage : storages_) {
      if (!storage.in_arena || storage.lifetime.last < order_.size()) continue;
      storage.in_arena = false;
      storage.ref = {Space::kept, program_.memory.kept, {}};
      program_.memory.kept += storage.lifetime.bytes;
    }
  }

  void place_arena() {
    std::vector<Lifetime> lifetimes;
    std::vector<uint32_t> owners;
    for (uint32_t i = 0; i < storages_.size(); ++i) {
      if (!storages_[i].in_arena) continue;
      Lifetime lifetime = storages_[i].lifetime;
      if (!options_.reuse) lifetime = {lifetime.bytes, 0, static_cast<uint32_t>(order_.size())};
      lifetimes.push_back(lifetime);
      owners.push_back(i);
    }
    lifetimes.insert(lifetimes.end(), workspaces_.begin(), workspaces_.end());
    const ArenaPlan plan = plan_memory(lifetimes, target_.alignment);
    for (size_t i = 0; i < owners.size(); ++i) storages_[owners[i]].ref = {Space::arena, plan.offsets[i], {}};
    for (size_t i = 0; i < lifetimes.size(); ++i)
      if (lifetimes[i].bytes > 0) program_.values.push_back({plan.offsets[i], lifetimes[i]});
    program_.memory.arena = plan.size;
    workspace_offsets_.assign(plan.offsets.begin() + static_cast<std::ptrdiff_t>(owners.size()), plan.offsets.end());
  }

  Ref ref_of(ValueId id) const {
    Ref ref = storages_[storage_[base(id)]].ref;
    ref.desc = graph_.desc(id);
    return ref;
  }

  Ref weight_ref(ValueId id, const Problem& p, const KernelInfo& kernel, uint32_t step, uint32_t input) {
    const KernelInfo::Packed packed = kernel.packed(p, static_cast<int>(input));
    const auto [it, added] = weight_offsets_.try_emplace({base(id), packed.layout}, program_.memory.weights);
    if (added) {
      const auto& op = std::get<Weight>(graph_.node(base(id)).op);
      program_.weights.push_back({op, graph_.desc(base(id)), step, input, it->second, packed.bytes, packed.layout});
      program_.memory.weights += round_up(packed.bytes);
    }
    return {Space::weights, it->second, graph_.desc(id)};
  }

  void emit_steps() {
    for (uint32_t s = 0; s < order_.size(); ++s) {
      const ValueId id = order_[s];
      const Node& node = graph_.node(id);
      const Problem p = problem(id);
      const KernelInfo& kernel = *target_.kernels[kernels_[s]];
      Step step{node.op, kernels_[s], {}, ref_of(id), {}, id, flops(graph_, id)};
      if (workspaces_[s].bytes > 0) step.workspace = {workspace_offsets_[s], workspaces_[s].bytes};
      for (uint32_t i = 0; i < node.inputs.size(); ++i) {
        const bool weight = kind_of(graph_.node(base(node.inputs[i])).op) == OpKind::weight;
        step.inputs.push_back(weight ? weight_ref(node.inputs[i], p, kernel, s, i) : ref_of(node.inputs[i]));
      }
      (s < program_.prologue ? program_.flops_prologue : program_.flops_step) += step.flops;
      program_.steps.push_back(std::move(step));
    }
  }

  const Graph& graph_;
  const Target& target_;
  const LowerOptions& options_;
  Program program_;
  std::vector<ValueId> order_;       // nodes that become steps, in order
  std::vector<uint32_t> position_;   // node -> step
  std::vector<uint32_t> last_use_;   // node -> step
  std::vector<uint32_t> kernels_;    // step -> kernel
  std::vector<uint32_t> storage_;    // node -> storage
  std::vector<ValueId> overwrites_;  // node -> the input it is written over
  std::vector<Storage> storages_;
  std::vector<Lifetime> workspaces_;  // step -> its scratch memory
  std::vector<size_t> workspace_offsets_;
  std::map<std::pair<ValueId, std::string>, size_t> weight_offsets_;
};

}  // namespace

Program lower(const Graph& graph, const Target& target, const LowerOptions& options) {
  return Lowering(graph, target, options).run();
}

const IoSlot& Program::input(std::string_view input_name) const {
  for (const IoSlot& slot : inputs)
    if (slot.name == input_name) return slot;
  fail(ErrorCode::internal, "internal error: program {} has no input '{}'", name, input_name);
}

const IoSlot& Program::output(std::string_view output_name) const {
  for (const IoSlot& slot : outputs)
    if (slot.name == output_name) return slot;
  fail(ErrorCode::internal, "internal error: program {} has no output '{}'", name, output_name);
}

Problem problem_of(const Step& step) {
  Problem problem{step.op, {}, step.output.desc};
  problem.inputs.reserve(step.inputs.size());
  for (const Ref& input : step.inputs) problem.inputs.push_back(input.desc);
  return problem;
}

PackedForm packed_form(const WeightSlot& slot) {
  return {slot.source.names, slot.source.factor, to_string(slot.desc), slot.layout};
}

size_t resident_bytes(std::span<const Program* const> programs, size_t alignment) {
  std::set<PackedForm> seen;
  size_t bytes = 0;
  for (const Program* program : programs)
    for (const WeightSlot& slot : program->weights)
      if (slot.segment == WeightSlot::kResident && seen.insert(packed_form(slot)).second)
        bytes += (slot.bytes + alignment - 1) / alignment * alignment;
  return bytes;
}

}  // namespace tempera
