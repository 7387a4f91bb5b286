// A concat is read in place: group_norm and 1 x 1 conv2d read its two parts (`tail`), so it is never written.
//
// The largest concatenation stays if a norm could run in place on it, which is possible in f32 and f16. Without it, the
// two parts and the norm's result are in memory at the same time, and this is the peak of a UNet. The decision depends
// only on types. Lowering both ways and comparing the peaks is no substitute: a product over two parts adds in another
// order. A picture's bytes would then depend on everything that changes the peak, such as the batch or guidance in two
// passes.
#include <algorithm>
#include <map>

#include "passes/passes.h"
#include "passes/rewrite.h"

namespace tempera {
namespace {

// Whether `reader` could read `value`, its x, in two parts.
bool takes_tail(const Node& reader, ValueId value) {
  if (std::count(reader.inputs.begin(), reader.inputs.end(), value) != 1 || reader.inputs[0] != value) return false;
  if (const auto* norm = std::get_if<GroupNorm>(&reader.op)) return !norm->tail;
  const auto* conv = std::get_if<Conv2d>(&reader.op);
  return conv != nullptr && !conv->tail && is_pointwise(*conv) && conv->activation == Activation::none;
}

// Whether a norm that reads `value` could run in place on it.
bool has_norm_in_place(const Graph& graph, const std::vector<ValueId>& readers, ValueId value) {
  return std::any_of(readers.begin(), readers.end(), [&](ValueId reader) {
    return kind_of(graph.node(reader).op) == OpKind::group_norm && graph.desc(reader).dtype == graph.desc(value).dtype;
  });
}

// The concatenations, and casts of them, that no node needs whole. The memory peak is at the largest concatenation, so
// that one is kept if a norm can run in place on it.
std::vector<bool> find_loose(const Graph& graph) {
  const auto users = graph.users();
  size_t largest = 0;
  for (const Node& node : graph.nodes())
    if (kind_of(node.op) == OpKind::concat) largest = std::max(largest, node.output.bytes());
  std::vector<bool> shown(graph.nodes().size()), loose(graph.nodes().size());
  for (const Output& output : graph.outputs()) shown[output.value] = true;
  for (ValueId id = static_cast<ValueId>(graph.nodes().size()); id-- > 0;) {
    const OpKind kind = kind_of(graph.node(id).op);
    if (shown[id] || (kind != OpKind::concat && kind != OpKind::cast)) continue;
    loose[id] = std::all_of(users[id].begin(), users[id].end(), [&](ValueId user) {
      const bool cast = kind_of(graph.node(user).op) == OpKind::cast;
      return (cast && loose[user]) || takes_tail(graph.node(user), id);
    });
    if (kind == OpKind::concat && graph.desc(id).bytes() == largest)
      loose[id] = loose[id] && !has_norm_in_place(graph, users[id], id);
  }
  return loose;
}

struct Parts {
  ValueId x, tail;  // of the new graph
};

class ReadConcat {
 public:
  explicit ReadConcat(const Graph& graph) : loose_(find_loose(graph)) {}

  // An unused value is copied too. It is dropped with the last node that reads it.
  std::optional<ValueId> operator()(Rewrite& r, ValueId id) {
    const Node& node = r.old().node(id);
    if (loose_[id] && r.as<Concat>(id) != nullptr) {
      parts_[id] = {r.now(node.inputs[0]), r.now(node.inputs[1])};
      return std::nullopt;
    }
    const auto found = node.inputs.empty() ? parts_.end() : parts_.find(node.inputs[0]);
    if (found == parts_.end()) return std::nullopt;
    const Parts parts = found->second;
    if (const auto* cast = r.as<Cast>(id)) {
      parts_[id] = {r.emit(*cast, {parts.x}), r.emit(*cast, {parts.tail})};
      return std::nullopt;
    }
    if (const auto* norm = r.as<GroupNorm>(id)) return emit(r, *norm, node.inputs, parts);
    return emit(r, std::get<Conv2d>(node.op), node.inputs, parts);
  }

 private:
  template <class Op>
  static ValueId emit(Rewrite& r, Op op, const std::vector<ValueId>& old_inputs, const Parts& parts) {
    std::vector<ValueId> inputs = r.now(old_inputs);
    inputs[0] = parts.x;
    inputs.insert(inputs.begin() + static_cast<std::ptrdiff_t>(tail_input(op)), parts.tail);
    op.tail = true;
    return r.emit(op, std::move(inputs));
  }

  std::vector<bool> loose_;
  std::map<ValueId, Parts> parts_;
};

}  // namespace

Graph read_concat(const Graph& graph) {
  return rewrite(graph, ReadConcat(graph));
}

}  // namespace tempera
