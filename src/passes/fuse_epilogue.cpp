// linear or conv2d, its activation and the sum that reads the result become one node, so the product is written once.
//
// There are two walks. The first adds the activation to a product, the second the residual, also through a view. The
// product is then computed at the position of the sum. Three cases stay as they are:
// 1. a product that another node reads;
// 2. a sum that broadcasts;
// 3. a sum of another dtype, because it rounds in between.
#include "passes/passes.h"
#include "passes/rewrite.h"

namespace tempera {
namespace {

// Both ops have the same fields of the epilogue.
struct Product {
  Activation activation;
  bool residual;
};

std::optional<Product> product(const Op& op) {
  if (const auto* linear = std::get_if<Linear>(&op)) return Product{linear->activation, linear->residual};
  if (const auto* conv = std::get_if<Conv2d>(&op)) return Product{conv->activation, conv->residual};
  return std::nullopt;
}

Op with(Op op, Product p) {
  const auto set = [&](auto& product_op) {
    product_op.activation = p.activation;
    product_op.residual = p.residual;
  };
  if (auto* linear = std::get_if<Linear>(&op)) set(*linear);
  if (auto* conv = std::get_if<Conv2d>(&op)) set(*conv);
  return op;
}

std::optional<ValueId> fuse_activation(Rewrite& r, ValueId id) {
  const auto* activate = r.as<Activate>(id);
  if (activate == nullptr) return std::nullopt;
  const ValueId source = r.old().node(id).inputs[0];
  const Node& node = r.old().node(source);
  const auto p = product(node.op);
  if (!p || p->activation != Activation::none || p->residual || !r.used_once(source)) return std::nullopt;
  return r.emit(with(node.op, {activate->kind, false}), r.now(node.inputs));
}

// product + other, where the sum may read the product through a view.
std::optional<ValueId> fuse_sum(Rewrite& r, ValueId sum, ValueId term, ValueId other) {
  const bool viewed = r.as<View>(term) != nullptr;
  const ValueId source = viewed ? r.old().node(term).inputs[0] : term;
  const Node& node = r.old().node(source);
  const auto p = product(node.op);
  if (!p || p->residual || !r.used_once(term) || !r.used_once(source)) return std::nullopt;
  if (r.old().desc(other) != r.old().desc(sum)) return std::nullopt;               // broadcast
  if (r.old().desc(source).dtype != r.old().desc(sum).dtype) return std::nullopt;  // rounds in between
  std::vector<ValueId> inputs = r.now(node.inputs);
  inputs.push_back(viewed ? r.emit(View{node.output.shape}, {r.now(other)}) : r.now(other));
  const ValueId fused = r.emit(with(node.op, {p->activation, true}), std::move(inputs));
  return viewed ? r.emit(View{r.old().desc(sum).shape}, {fused}) : fused;
}

std::optional<ValueId> fuse_residual(Rewrite& r, ValueId id) {
  if (r.as<Add>(id) == nullptr) return std::nullopt;
  const std::vector<ValueId>& terms = r.old().node(id).inputs;
  if (terms[0] == terms[1]) return std::nullopt;
  if (auto fused = fuse_sum(r, id, terms[0], terms[1])) return fused;
  if (r.old().desc(terms[0]) != r.old().desc(terms[1])) return std::nullopt;
  return fuse_sum(r, id, terms[1], terms[0]);
}

}  // namespace

Graph fuse_epilogue(const Graph& graph) {
  return rewrite(rewrite(graph, fuse_activation), fuse_residual);
}

}  // namespace tempera
