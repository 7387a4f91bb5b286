// How attention/naive cuts its scores into pieces: known to the table, which promises the scratch memory, and to the
// binding. A piece holds the scores of some heads of one picture or, where one head has too many, of some queries.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

namespace tempera::cuda {

struct ScorePlan {
  int64_t heads = 1, queries = 1;  // of a piece, at most
  size_t bytes = 0;                // of a piece, in f32
};

inline ScorePlan score_plan(int64_t heads, int64_t queries, int64_t keys) {
  // Enough for products that fill a card and little enough to stay in its L2 cache between them.
  constexpr int64_t kScores = int64_t{8} << 20;
  ScorePlan plan;
  plan.heads = std::clamp<int64_t>(kScores / (queries * keys), 1, heads);
  plan.queries = std::clamp<int64_t>(kScores / keys, 1, queries);
  plan.bytes = static_cast<size_t>(plan.heads * plan.queries * keys) * sizeof(float);
  return plan;
}

}  // namespace tempera::cuda
