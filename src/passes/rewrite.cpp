// The bookkeeping of the walk: the readers of an old value, the new value that replaces it, and the removal of nodes
// that no output depends on.
#include "passes/rewrite.h"

namespace tempera {
namespace {

// The graph without nodes that no output depends on. Inputs stay: they are the caller's interface.
Graph without_dead(const Graph& graph) {
  std::vector<bool> live(graph.nodes().size());
  for (const Output& output : graph.outputs()) live[output.value] = true;
  for (ValueId id = static_cast<ValueId>(graph.nodes().size()); id-- > 0;) {
    if (kind_of(graph.node(id).op) == OpKind::input) live[id] = true;
    if (!live[id]) continue;
    for (ValueId input : graph.node(id).inputs) live[input] = true;
  }
  Graph out(graph.name());
  std::vector<ValueId> now(graph.nodes().size());
  for (ValueId id = 0; id < graph.nodes().size(); ++id) {
    if (!live[id]) continue;
    const Node& node = graph.node(id);
    std::vector<ValueId> inputs;
    for (ValueId input : node.inputs) inputs.push_back(now[input]);
    now[id] = inputs.empty() ? out.add_source(node.op, node.output) : out.add(node.op, std::move(inputs));
  }
  for (const Output& output : graph.outputs()) out.add_output(output.name, now[output.value], output.over_input);
  return out;
}

}  // namespace

Rewrite::Rewrite(const Graph& old) : old_(old), new_(old.name()), uses_(old.nodes().size()), now_(old.nodes().size()) {
  for (const Node& node : old.nodes())
    for (ValueId input : node.inputs) ++uses_[input];
  for (const Output& output : old.outputs()) uses_[output.value] += 2;  // never fused away
}

std::vector<ValueId> Rewrite::now(const std::vector<ValueId>& old_ids) const {
  std::vector<ValueId> ids;
  ids.reserve(old_ids.size());
  for (ValueId id : old_ids) ids.push_back(now_[id]);
  return ids;
}

void Rewrite::keep(ValueId old_id) {
  const Node& node = old_.node(old_id);
  now_[old_id] = node.inputs.empty() ? new_.add_source(node.op, node.output) : new_.add(node.op, now(node.inputs));
}

Graph Rewrite::finish() && {
  for (const Output& output : old_.outputs()) new_.add_output(output.name, now_[output.value], output.over_input);
  return without_dead(new_);
}

}  // namespace tempera
