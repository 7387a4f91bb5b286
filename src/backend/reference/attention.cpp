// Attention, one query and head at a time: a row of scores, its softmax, the weighted sum of the values.
#include <algorithm>
#include <limits>
#include <vector>

#include "backend/reference/kernels.h"
#include "backend/reference/numbers.h"
#include "base/parallel.h"

namespace tempera::reference {
namespace {

// One of q, k, v inside its tensor. Token t of picture n starts at ((n * tokens) + t) * row + offset.
struct Part {
  size_t input = 0;
  int64_t tokens = 0, row = 0, offset = 0;
  int64_t at(int64_t n, int64_t t) const { return (n * tokens + t) * row + offset; }
};

struct Layout {
  Part q, k, v;
};

Layout layout(const Problem& p) {
  using Packing = Attention::Packing;
  const int64_t channels = p.output.shape[2];
  const auto part = [&](size_t input, int64_t slot) {
    const Shape& shape = p.inputs[input].shape;
    return Part{input, shape[1], shape[2], slot * channels};
  };
  switch (std::get<Attention>(p.op).packing) {
    case Packing::qkv:
      return {part(0, 0), part(0, 1), part(0, 2)};
    case Packing::q_kv:
      return {part(0, 0), part(1, 0), part(1, 1)};
    default:
      return {part(0, 0), part(1, 0), part(2, 0)};
  }
}

// Turns scores into weights with a sum of one.
void softmax(double* scores, int64_t n) {
  const double largest = *std::max_element(scores, scores + n);
  double sum = 0;
  for (int64_t i = 0; i < n; ++i) sum += scores[i] = std::exp(scores[i] - largest);
  for (int64_t i = 0; i < n; ++i) scores[i] /= sum;
}

// Output row (n, t, head). `inputs` are the op's; `scores` has room for every key.
void attend(const Problem& p, const Result& out, const Layout& l, const std::vector<const float*>& inputs, int64_t n,
            int64_t t, int64_t head, double* scores) {
  const auto& op = std::get<Attention>(p.op);
  const int64_t channels = p.output.shape[2], dim = channels / op.heads;
  const auto element = [&](const Part& part, int64_t token) {
    return inputs[part.input] + part.at(n, token) + head * dim;
  };
  const int64_t keys = op.causal ? std::min(t + 1, l.k.tokens) : l.k.tokens;
  for (int64_t s = 0; s < keys; ++s)
    scores[s] = static_cast<double>(op.scale) * dot(element(l.q, t), element(l.k, s), dim);
  softmax(scores, keys);
  for (int64_t d = 0; d < dim; ++d) {
    double sum = 0;
    for (int64_t s = 0; s < keys; ++s) sum += scores[s] * static_cast<double>(element(l.v, s)[d]);
    out.set((n * p.output.shape[1] + t) * channels + head * dim + d, sum);
  }
}

// The buffers of a launch, in addition to its output.
struct Scratch {
  std::vector<Operand> operands;
  std::vector<const float*> inputs;
  int64_t teams = 0;           // rows of scores
  std::vector<double> scores;  // (teams, keys)
};

}  // namespace

Launch bind_attention(const Problem& p, const Binding& b) {
  const Layout l = layout(p);
  Scratch scratch;
  for (size_t i = 0; i < p.inputs.size(); ++i) scratch.operands.emplace_back(p, b, i);
  scratch.inputs.resize(p.inputs.size());
  scratch.teams = thread_count();
  scratch.scores.resize(static_cast<size_t>(scratch.teams * l.k.tokens));
  return [p, l, out = result(p, b), s = std::move(scratch)](Queue&) mutable {
    for (size_t i = 0; i < s.operands.size(); ++i) s.inputs[i] = s.operands[i].load();
    const int64_t queries = p.output.shape[1], heads = std::get<Attention>(p.op).heads;
    const int64_t rows = p.output.shape[0] * heads * queries;
    // Every row of scores is used for one range of rows. The current number of threads does not matter.
    parallel_for(s.teams, 1, [&](int64_t begin, int64_t end) {
      for (int64_t team = begin; team < end; ++team)
        for (int64_t row = rows * team / s.teams; row < rows * (team + 1) / s.teams; ++row)
          attend(p, out, l, s.inputs, row / (heads * queries), row % queries, row / queries % heads,
                 s.scores.data() + team * l.k.tokens);
    });
  };
}

}  // namespace tempera::reference
