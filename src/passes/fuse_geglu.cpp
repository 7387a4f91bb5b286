// linear and its only reader, a gelu_gate, become one geglu_linear. The value of both halves, twice as wide as the
// result, is never written. The linear layer must be plain, because fuse_epilogue runs later.
#include "passes/passes.h"
#include "passes/rewrite.h"

namespace tempera {

Graph fuse_geglu(const Graph& graph) {
  return rewrite(graph, [](Rewrite& r, ValueId id) -> std::optional<ValueId> {
    if (r.as<GeluGate>(id) == nullptr) return std::nullopt;
    const ValueId source = r.old().node(id).inputs[0];
    const auto* linear = r.as<Linear>(source);
    if (linear == nullptr || linear->activation != Activation::none || linear->residual || linear->to ||
        !r.used_once(source))
      return std::nullopt;
    return r.emit(GegluLinear{linear->bias}, r.now(r.old().node(source).inputs));
  });
}

}  // namespace tempera
