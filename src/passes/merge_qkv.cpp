// The linear layers of one attention become one product with stacked weights: q, k and v if all read one value
// (self-attention), k and v if only those do (cross-attention).
//
// The stacked Weight lists the names of its parts, so nothing is copied. Packing reads them one after the other.
#include "passes/passes.h"
#include "passes/rewrite.h"

namespace tempera {
namespace {

// A linear layer that can be stacked: no epilogue, one reader, its own weights.
bool stackable(const Rewrite& r, ValueId id) {
  const auto* linear = r.as<Linear>(id);
  if (linear == nullptr || linear->activation != Activation::none || linear->residual || !r.used_once(id)) return false;
  const std::vector<ValueId>& inputs = r.old().node(id).inputs;
  if (r.as<Weight>(inputs[1]) == nullptr || !r.used_once(inputs[1])) return false;
  return !linear->bias || (r.as<Weight>(inputs[2]) != nullptr && r.used_once(inputs[2]));
}

// The layers read one value and agree on bias, dtype and factors.
bool alike(const Rewrite& r, ValueId a, ValueId b) {
  const Node &na = r.old().node(a), &nb = r.old().node(b);
  if (na.inputs[0] != nb.inputs[0] || na.op != nb.op) return false;
  for (size_t i = 1; i < na.inputs.size(); ++i)
    if (r.as<Weight>(na.inputs[i])->factor != r.as<Weight>(nb.inputs[i])->factor) return false;
  return r.old().desc(na.inputs[1]).dtype == r.old().desc(nb.inputs[1]).dtype;
}

// One Weight holding input `which` of each layer, stacked along the outputs.
ValueId stack_weights(Rewrite& r, const std::vector<ValueId>& layers, size_t which) {
  Weight stacked;
  TensorDesc desc = r.old().desc(r.old().node(layers[0]).inputs[which]);
  desc.shape.set(0, 0);
  for (ValueId layer : layers) {
    const ValueId weight = r.old().node(layer).inputs[which];
    const std::vector<std::string>& names = r.as<Weight>(weight)->names;
    stacked.names.insert(stacked.names.end(), names.begin(), names.end());
    stacked.factor = r.as<Weight>(weight)->factor;
    desc.shape.set(0, desc.shape[0] + r.old().desc(weight).shape[0]);
  }
  return r.emit_source(std::move(stacked), desc);
}

ValueId stack(Rewrite& r, const std::vector<ValueId>& layers) {
  const Node& first = r.old().node(layers[0]);
  std::vector<ValueId> inputs = {r.now(first.inputs[0])};
  for (size_t which = 1; which < first.inputs.size(); ++which) inputs.push_back(stack_weights(r, layers, which));
  return r.emit(first.op, std::move(inputs));
}

std::optional<ValueId> merge(Rewrite& r, ValueId id) {
  const auto* attention = r.as<Attention>(id);
  if (attention == nullptr || attention->packing != Attention::Packing::separate) return std::nullopt;
  const std::vector<ValueId>& in = r.old().node(id).inputs;
  if (!stackable(r, in[1]) || !stackable(r, in[2]) || !alike(r, in[1], in[2])) return std::nullopt;
  Attention merged = *attention;
  if (stackable(r, in[0]) && alike(r, in[0], in[1])) {
    merged.packing = Attention::Packing::qkv;
    return r.emit(merged, {stack(r, {in[0], in[1], in[2]})});
  }
  merged.packing = Attention::Packing::q_kv;
  return r.emit(merged, {r.now(in[0]), stack(r, {in[1], in[2]})});
}

}  // namespace

Graph merge_qkv(const Graph& graph) {
  return rewrite(graph, merge);
}

}  // namespace tempera
