#include "passes/passes.h"

#include <array>
#include <utility>

namespace tempera {

std::span<const Pass> all_passes() {
  // merge_qkv first: it wants plain linear layers. fuse_geglu before fuse_epilogue for the same reason.
  // read_concat last: to the others a node's first input is all of its x.
  static constexpr std::array<Pass, 5> kPasses = {{
      {"merge_qkv", "same sums, other blocking", merge_qkv},
      {"fuse_geglu", "rounds once instead of twice", fuse_geglu},
      {"fuse_group_norm", "rounds once instead of up to three times", fuse_group_norm},
      {"fuse_epilogue", "rounds once instead of up to three times", fuse_epilogue},
      {"read_concat", "the same sums, of two tensors instead of one", read_concat},
  }};
  return kPasses;
}

Graph optimize(Graph graph) {
  for (const Pass& pass : all_passes()) graph = pass.run(graph);
  return graph;
}

}  // namespace tempera
