// The passes in their fixed order. Each is a pure function from graph to graph with one idea. docs/NUMERICS.md
// describes how they change the rounding of the result. "eager" uses none of them.
#pragma once

#include <span>
#include <string_view>

#include "ir/graph.h"

namespace tempera {

struct Pass {
  std::string_view name;
  Graph (*run)(const Graph&);
};

// group_norm, its activation, and the time embedding added before it become one node: one pass over memory instead of
// three.
Graph fuse_group_norm(const Graph& graph);
// linear or conv, its activation and the residual become one node: the matrix product writes the result once.
Graph fuse_epilogue(const Graph& graph);
// The linear layers of one attention that read the same value become one product with stacked weights.
Graph merge_qkv(const Graph& graph);
// linear and gelu_gate become one node: the value of width 2F is never written.
Graph fuse_geglu(const Graph& graph);
// A concat is removed if all its readers are norms and convolutions of one pixel, perhaps after a cast. They read its
// two parts.
Graph read_concat(const Graph& graph);

std::span<const Pass> all_passes();

// All of them in order.
Graph optimize(Graph graph);

}  // namespace tempera
