// The sum before a group_norm and the activation after it become parameters of the norm: one pass over memory, not
// three.
//
// The sum is fused if its second term is per picture and channel (the time embedding of a resnet) and no other node
// reads it.
#include "passes/passes.h"
#include "passes/rewrite.h"

namespace tempera {
namespace {

// norm(x + shift), where no other node reads the sum and the shift is per picture and channel.
std::optional<ValueId> fuse_shift(Rewrite& r, ValueId id) {
  const auto* norm = r.as<GroupNorm>(id);
  if (norm == nullptr || norm->shift) return std::nullopt;
  const std::vector<ValueId>& inputs = r.old().node(id).inputs;
  if (r.as<Add>(inputs[0]) == nullptr || !r.used_once(inputs[0])) return std::nullopt;
  const std::vector<ValueId>& sum = r.old().node(inputs[0]).inputs;
  const Shape& x = r.old().desc(sum[0]).shape;
  if (r.old().desc(sum[1]).shape != Shape{x[0], 1, 1, x[3]}) return std::nullopt;
  GroupNorm fused = *norm;
  fused.shift = true;
  return r.emit(fused, r.now({sum[0], inputs[1], inputs[2], sum[1]}));
}

std::optional<ValueId> fuse_activation(Rewrite& r, ValueId id) {
  const auto* activate = r.as<Activate>(id);
  if (activate == nullptr) return std::nullopt;
  const ValueId source = r.old().node(id).inputs[0];
  const auto* norm = r.as<GroupNorm>(source);
  if (norm == nullptr || norm->activation != Activation::none || !r.used_once(source)) return std::nullopt;
  GroupNorm fused = *norm;
  fused.activation = activate->kind;
  return r.emit(fused, r.now(r.old().node(source).inputs));
}

}  // namespace

Graph fuse_group_norm(const Graph& graph) {
  return rewrite(rewrite(graph, fuse_shift), fuse_activation);
}

}  // namespace tempera
