// The passes in their one fixed order. Each is a pure function from graph to graph with one idea; docs/NUMERICS.md says
// what they do to the result's rounding. "eager" is the same road with none of them.
#pragma once

#include <span>
#include <string_view>

#include "ir/graph.h"

namespace tempera {

struct Pass {
  std::string_view name;
  Graph (*run)(const Graph&);
};

// group_norm + activation, and the time embedding added before it: one pass over memory instead of three.
Graph fuse_group_norm(const Graph& graph);
// linear or conv + activation, then + residual: written once by the matrix product.
Graph fuse_epilogue(const Graph& graph);
// The linear layers that feed one attention and read one value become one product with stacked weights.
Graph merge_qkv(const Graph& graph);
// linear + gelu_gate: the 2F wide value is never written.
Graph fuse_geglu(const Graph& graph);
// concat whose readers are norms and convolutions of one pixel, perhaps through a cast: they read its two parts.
Graph read_concat(const Graph& graph);

std::span<const Pass> all_passes();

// All of them in order.
Graph optimize(Graph graph);

}  // namespace tempera
