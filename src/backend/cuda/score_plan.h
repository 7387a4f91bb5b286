// How attention/naive cuts its scores into pieces. The table uses it for the scratch memory, and the binding to run. A
// piece has the scores of some heads of one picture, or, if one head has too many, of some queries.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "base/dtype.h"

namespace tempera::cuda {

struct ScorePlan {
  int64_t heads = 1, queries = 1;  // of a piece, at most
  DType type = DType::f32;         // of the scores
  size_t bytes = 0;                // of a piece
};

// Scores are in f16 for f16, as in diffusers' default attention, else in f32, because bf16 has too few bits for them.
inline ScorePlan score_plan(int64_t heads, int64_t queries, int64_t keys, DType type) {
  // Large enough for products that fill a card; all scores of a picture of 1024 x 1024 in the VAE would be 1 GiB.
  constexpr int64_t kScores = int64_t{64} << 20;
  ScorePlan plan;
  plan.heads = std::clamp<int64_t>(kScores / (queries * keys), 1, heads);
  plan.queries = std::clamp<int64_t>(kScores / keys, 1, queries);
  plan.type = type == DType::f16 ? DType::f16 : DType::f32;
  plan.bytes = static_cast<size_t>(plan.heads * plan.queries * keys) * size_of(plan.type);
  return plan;
}

}  // namespace tempera::cuda
