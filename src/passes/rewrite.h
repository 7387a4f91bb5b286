// The common part of all passes: walk the old graph in order, copy or replace node by node, and drop nodes without
// readers at the end. A fused node is at the position of its last part, so its inputs exist.
#pragma once

#include <optional>
#include <utility>
#include <vector>

#include "ir/graph.h"

namespace tempera {

class Rewrite {
 public:
  explicit Rewrite(const Graph& old);

  const Graph& old() const { return old_; }
  // The node of an old value as an Op of type T, or nullptr.
  template <class T>
  const T* as(ValueId id) const {
    return std::get_if<T>(&old_.node(id).op);
  }
  // Whether exactly one node reads the old value and it is not an output.
  bool used_once(ValueId id) const { return uses_[id] == 1; }

  // The new value that replaces an old one. The walk has passed the old one.
  ValueId now(ValueId old_id) const { return now_[old_id]; }
  std::vector<ValueId> now(const std::vector<ValueId>& old_ids) const;

  ValueId emit(Op op, std::vector<ValueId> new_inputs) { return new_.add(std::move(op), std::move(new_inputs)); }
  ValueId emit_source(Op op, TensorDesc desc) { return new_.add_source(std::move(op), desc); }
  const TensorDesc& new_desc(ValueId new_id) const { return new_.desc(new_id); }

  void keep(ValueId old_id);
  void replace(ValueId old_id, ValueId new_id) { now_[old_id] = new_id; }

  Graph finish() &&;

 private:
  const Graph& old_;
  Graph new_;
  std::vector<uint32_t> uses_;
  std::vector<ValueId> now_;
};

// Applies `match` to each node. The result is the new value that replaces the node, or nothing to keep it.
template <class Match>
Graph rewrite(const Graph& graph, Match match) {
  Rewrite r(graph);
  for (ValueId id = 0; id < graph.nodes().size(); ++id) {
    if (const auto value = match(r, id)) {
      r.replace(id, *value);
    } else {
      r.keep(id);
    }
  }
  return std::move(r).finish();
}

}  // namespace tempera
