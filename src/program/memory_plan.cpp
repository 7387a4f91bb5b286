#include "program/memory_plan.h"

#include <algorithm>
#include <numeric>

namespace tempera {

ArenaPlan plan_memory(const std::vector<Lifetime>& values, size_t alignment) {
  const auto round_up = [&](size_t n) { return (n + alignment - 1) / alignment * alignment; };
  std::vector<size_t> order(values.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return values[a].bytes > values[b].bytes; });

  ArenaPlan plan;
  plan.offsets.assign(values.size(), 0);
  std::vector<size_t> placed;  // by offset
  for (size_t v : order) {
    const size_t bytes = round_up(values[v].bytes);
    if (bytes == 0) break;  // sorted by size: the rest is empty too
    size_t offset = 0;
    for (size_t other : placed) {
      const bool together = values[v].first <= values[other].last && values[other].first <= values[v].last;
      if (!together) continue;
      if (offset + bytes <= plan.offsets[other]) break;  // fits in the gap before it
      offset = std::max(offset, plan.offsets[other] + round_up(values[other].bytes));
    }
    plan.offsets[v] = offset;
    plan.size = std::max(plan.size, offset + bytes);
    const auto at =
        std::upper_bound(placed.begin(), placed.end(), offset, [&](size_t o, size_t p) { return o < plan.offsets[p]; });
    placed.insert(at, v);
  }
  return plan;
}

}  // namespace tempera
