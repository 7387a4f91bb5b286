// Attention, one query and head at a time: a row of scores, its softmax, the weighted sum of the values.
#include <algorithm>
#include <limits>
#include <vector>

#include "backend/reference/kernels.h"
#include "backend/reference/numbers.h"
#include "base/parallel.h"

namespace tempera::reference {
namespace {

// One of q, k, v inside whatever tensor carries it: token t of picture n starts at ((n * tokens) + t) * row + offset.
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

// Turns scores into weights that sum to one.
void softmax(double* scores, int64_t n) {
  const double largest = *std::max_element(scores, scores + n);
  double sum = 0;
  for (int64_t i = 0; i < n; ++i) sum += scores[i] = std::exp(scores[i] - largest);
  for (int64_t i = 0; i < n; ++i) scores[i] /= sum;
}

// Output row (n, t, head): `scores` has room for every key.
template <class T>
void attend(const Problem& p, const Binding& b, const Layout& l, int64_t n, int64_t t, int64_t head, double* scores) {
  const auto& op = std::get<Attention>(p.op);
  const int64_t channels = p.output.shape[2], dim = channels / op.heads;
  const auto element = [&](const Part& part, int64_t token) {
    return reinterpret_cast<const T*>(b.inputs[part.input]) + part.at(n, token) + head * dim;
  };
  const int64_t keys = op.causal ? std::min(t + 1, l.k.tokens) : l.k.tokens;
  for (int64_t s = 0; s < keys; ++s)
    scores[s] = static_cast<double>(op.scale) * dot(element(l.q, t), element(l.k, s), 1, dim);
  softmax(scores, keys);
  const Result out = result(p, b);
  for (int64_t d = 0; d < dim; ++d) {
    double sum = 0;
    for (int64_t s = 0; s < keys; ++s) sum += scores[s] * static_cast<double>(to_float(element(l.v, s)[d]));
    out.set((n * p.output.shape[1] + t) * channels + head * dim + d, sum);
  }
}

}  // namespace

Launch bind_attention(const Problem& p, const Binding& b) {
  const Layout l = layout(p);
  const int64_t teams = thread_count(), keys = l.k.tokens;
  std::vector<double> scratch(static_cast<size_t>(teams * keys));
  return [p, b, l, teams, keys, scratch = std::move(scratch)](Queue&) mutable {
    const int64_t queries = p.output.shape[1], heads = std::get<Attention>(p.op).heads;
    const int64_t rows = p.output.shape[0] * heads * queries;
    with_type(p.output.dtype, [&](auto type) {
      using T = std::remove_cvref_t<decltype(*type)>;
      // One range of rows per score row, however many threads there are by now.
      parallel_for(teams, 1, [&](int64_t begin, int64_t end) {
        for (int64_t team = begin; team < end; ++team)
          for (int64_t row = rows * team / teams; row < rows * (team + 1) / teams; ++row)
            attend<T>(p, b, l, row / (heads * queries), row % queries, row / queries % heads,
                      scratch.data() + team * keys);
      });
    });
  };
}

}  // namespace tempera::reference
