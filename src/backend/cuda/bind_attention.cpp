// Attention with its packing resolved to addresses and strides.
#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "backend/cuda/kernels/hopper_attention.h"
#include "backend/cuda/rows.h"
#include "backend/cuda/score_plan.h"
#include "backend/cuda/table.h"
#include "base/error.h"

namespace tempera::cuda {
namespace {

struct Heads {
  const std::byte *q = nullptr, *k = nullptr, *v = nullptr;
  int64_t pictures = 0, queries = 0, keys = 0, heads = 0, dim = 0;
  int64_t q_stride = 0, kv_stride = 0;  // elements from token to token
};

Heads heads_of(const Problem& p, const Binding& b) {
  using Packing = Attention::Packing;
  const auto& op = std::get<Attention>(p.op);
  const auto channels = static_cast<size_t>(p.output.shape[2]) * size_of(p.output.dtype);
  const size_t kv = op.packing == Packing::qkv ? 0 : 1;
  Heads h;
  h.pictures = p.output.shape[0];
  h.queries = p.output.shape[1];
  h.keys = p.inputs[kv].shape[1];
  h.heads = op.heads;
  h.dim = p.output.shape[2] / op.heads;
  h.q_stride = p.inputs[0].shape[2];
  h.kv_stride = p.inputs[kv].shape[2];
  h.q = b.inputs[0];
  h.k = op.packing == Packing::qkv ? h.q + channels : b.inputs[1];
  h.v = op.packing == Packing::separate ? b.inputs[2] : h.k + channels;
  return h;
}

}  // namespace

// The fastest of tempera's kernels for the shape.
Enqueue bind_attention_flash(Machine& machine, const Problem& p, const Binding& b) {
  const auto& op = std::get<Attention>(p.op);
  const Heads h = heads_of(p, b);
  FlashArgs args{};
  args.q = h.q;
  args.k = h.k;
  args.v = h.v;
  args.out = b.output;
  args.type = p.output.dtype;
  args.pictures = static_cast<int>(h.pictures);
  args.heads = op.heads;
  args.queries = static_cast<int>(h.queries);
  args.keys = static_cast<int>(h.keys);
  args.dim = static_cast<int>(h.dim);
  args.q_stride = h.q_stride;
  args.kv_stride = h.kv_stride;
  args.out_stride = p.output.shape[2];
  args.scale = op.scale;
  args.causal = op.causal;
  std::vector<Candidate> candidates = {
      {"attention_flash", [&]() -> Enqueue { return [args](cudaStream_t stream) { attention_flash(args, stream); }; }}};
  if (machine.hopper && hopper_can_attend(args))
    for (const HopperAttentionVariant& variant : hopper_attention_variants())
      candidates.push_back({name_of(variant), [&]() -> Enqueue {
                              return [attention = HopperAttention(variant, args)](cudaStream_t stream) {
                                attention.launch(stream);
                              };
                            }});
  const std::string problem = fmt::format(
      "attention {}x{} heads, {} queries, {} keys of {} channels, strides {} {}, {}{}", args.pictures, args.heads,
      args.queries, args.keys, args.dim, args.q_stride, args.kv_stride, name(args.type), args.causal ? ", causal" : "");
  return fastest(machine.tuning, {"tempera", problem}, candidates, machine.stream);
}

namespace {

// One piece of scores: its products and softmax.
struct Piece {
  Enqueue scores, sums;
  int64_t rows = 0, queries = 0, first_query = 0;
};

}  // namespace

// Scores (score_plan.h), their softmax over them in the operands' type, the weighted sums: piece by piece, each a batch
// of products over its heads.
Enqueue bind_attention_naive(Machine& machine, const Problem& p, const Binding& b) {
  const auto& op = std::get<Attention>(p.op);
  const Heads h = heads_of(p, b);
  const ScorePlan plan = score_plan(h.heads, h.queries, h.keys, p.output.dtype);
  const DType type = p.output.dtype;
  const auto size = static_cast<int64_t>(size_of(type));
  const int64_t channels = p.output.shape[2];
  std::byte* scores = b.workspace + kCudaLibraryWorkspace;
  // In elements of `type`, a row of weights starts at the address of its row of scores.
  const int64_t per_score = static_cast<int64_t>(size_of(plan.type)) / size;

  ProductSpec score;
  score.n = h.keys, score.k = h.dim;
  score.type = type, score.to = plan.type, score.alpha = op.scale;
  score.x_stride = h.q_stride, score.w_stride = h.kv_stride, score.out_stride = h.keys;
  score.x_batch = score.w_batch = h.dim;
  ProductSpec sum;
  sum.n = h.dim, sum.k = h.keys;
  sum.type = sum.to = type, sum.w_plain = true;
  sum.x_stride = h.keys * per_score, sum.w_stride = h.kv_stride, sum.out_stride = channels;
  sum.w_batch = sum.out_batch = h.dim;

  std::vector<Piece> pieces;
  const auto add_piece = [&](int64_t n, int64_t head, int64_t query) {
    const int64_t heads = std::min(plan.heads, h.heads - head), queries = std::min(plan.queries, h.queries - query);
    score.m = sum.m = queries;
    score.batches = sum.batches = static_cast<int>(heads);
    score.out_batch = queries * h.keys;
    sum.x_batch = score.out_batch * per_score;
    ProductArgs args;
    args.workspace = b.workspace;
    args.x = h.q + ((n * h.queries + query) * h.q_stride + head * h.dim) * size;
    args.w = h.k + (n * h.keys * h.kv_stride + head * h.dim) * size;
    args.out = scores;
    Piece piece{{}, {}, heads * queries, queries, query};
    piece.scores = machine.products.bind(score, args, machine.stream);
    args.x = scores;
    args.w = h.v + (n * h.keys * h.kv_stride + head * h.dim) * size;
    args.out = b.output + ((n * h.queries + query) * channels + head * h.dim) * size;
    piece.sums = machine.products.bind(sum, args, machine.stream);
    pieces.push_back(std::move(piece));
  };
  for (int64_t n = 0; n < h.pictures; ++n)
    for (int64_t head = 0; head < h.heads; head += plan.heads)
      for (int64_t query = 0; query < h.queries; query += plan.queries) add_piece(n, head, query);

  return [pieces = std::move(pieces), scores, from = plan.type, type, keys = h.keys,
          causal = op.causal](cudaStream_t stream) {
    for (const Piece& piece : pieces) {
      piece.scores(stream);
      softmax({{scores, from}, {scores, type}, piece.rows, piece.queries, piece.first_query, keys, causal}, stream);
      piece.sums(stream);
    }
  };
}

}  // namespace tempera::cuda
