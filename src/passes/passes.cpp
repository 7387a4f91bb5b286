#include "passes/passes.h"

#include <array>
#include <utility>

namespace tempera {

std::span<const Pass> all_passes() {
  // merge_qkv is first, because it matches plain linear layers. fuse_geglu is before fuse_epilogue for the same reason.
  // read_concat is last: the other passes assume that a node's first input is all of its x.
  static constexpr std::array<Pass, 5> kPasses = {{
      {"merge_qkv", merge_qkv},
      {"fuse_geglu", fuse_geglu},
      {"fuse_group_norm", fuse_group_norm},
      {"fuse_epilogue", fuse_epilogue},
      {"read_concat", read_concat},
  }};
  return kPasses;
}

Graph optimize(Graph graph) {
  for (const Pass& pass : all_passes()) graph = pass.run(graph);
  return graph;
}

}  // namespace tempera
