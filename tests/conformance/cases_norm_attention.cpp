// Norms and attention: SDXL's widths, head sizes and lengths, every flag and packing, and inputs that need careful
// arithmetic (a large mean, large scores).
#include <cmath>

#include "conformance/cases.h"

namespace tempera {
namespace {

void group_norm(std::vector<Case>& cases, DType dtype, Shape x, GroupNorm op = {}, CaseSize size = CaseSize::quick,
                double mean = 0) {
  const Shape c{x[3]};
  std::vector<CaseInput> inputs{activations(dtype, x, 1, mean), parameters(DType::f32, c, 0.3, 1),
                                parameters(DType::f32, c, 0.3)};
  if (op.shift) inputs.push_back(activations(dtype, {x[0], 1, 1, x[3]}));
  cases.push_back(make_case(op, inputs, size, mean != 0 ? "large mean" : ""));
}

// Over x and a tail of `tail` channels.
void group_norm_with_tail(std::vector<Case>& cases, DType dtype, Shape x, int64_t tail, GroupNorm op = {},
                          CaseSize size = CaseSize::quick, double mean = 0) {
  const Shape c{x[3] + tail};
  Shape rest = x;
  rest.set(3, tail);
  op.tail = true;
  std::vector<CaseInput> inputs{activations(dtype, x, 1, mean), parameters(DType::f32, c, 0.3, 1),
                                parameters(DType::f32, c, 0.3)};
  if (op.shift) inputs.push_back(activations(dtype, {x[0], 1, 1, c[0]}));
  inputs.push_back(activations(dtype, rest, 1, -mean));
  cases.push_back(make_case(op, inputs, size, mean != 0 ? "large means" : ""));
}

void layer_norm(std::vector<Case>& cases, DType dtype, Shape x, CaseSize size = CaseSize::quick, double mean = 0,
                LayerNorm op = {}) {
  const Shape c{x[-1]};
  cases.push_back(
      make_case(op, {activations(dtype, x, 1, mean), parameters(DType::f32, c, 0.3, 1), parameters(DType::f32, c, 0.3)},
                size, mean != 0 ? "large mean" : ""));
}

struct Tokens {
  int64_t batch, queries, keys;
  int heads;
  int64_t dim;
};

// `deviation`: of q. With 1, the scores are approximately normal.
void attention(std::vector<Case>& cases, DType dtype, Tokens t, Attention::Packing packing, bool causal = false,
               CaseSize size = CaseSize::quick, double deviation = 1) {
  using Packing = Attention::Packing;
  const int64_t c = t.heads * t.dim;
  const Attention op{t.heads, static_cast<float>(1 / std::sqrt(static_cast<double>(t.dim))), causal, packing};
  std::vector<CaseInput> inputs{
      activations(dtype, {t.batch, t.queries, packing == Packing::qkv ? 3 * c : c}, deviation)};
  if (packing == Packing::q_kv) inputs.push_back(activations(dtype, {t.batch, t.keys, 2 * c}));
  if (packing == Packing::separate) {
    inputs.push_back(activations(dtype, {t.batch, t.keys, c}));
    inputs.push_back(activations(dtype, {t.batch, t.keys, c}, 1, 0.1));
  }
  cases.push_back(make_case(op, inputs, size, deviation != 1 ? "large scores" : ""));
}

constexpr auto kSeparate = Attention::Packing::separate;
constexpr auto kQkv = Attention::Packing::qkv;
constexpr auto kQKv = Attention::Packing::q_kv;

void add_quick_attention(std::vector<Case>& cases, DType d) {
  attention(cases, d, {2, 64, 64, 5, 64}, kQkv);
  attention(cases, d, {2, 64, 77, 5, 64}, kQKv);
  attention(cases, d, {1, 256, 256, 1, 64}, kSeparate);
  attention(cases, d, {1, 144, 77, 3, 64}, kSeparate);
  attention(cases, d, {2, 77, 77, 3, 64}, kSeparate, true);
  attention(cases, d, {1, 77, 77, 4, 64}, kQkv, true);
  for (int64_t dim : {8, 16, 32, 40, 64, 80, 128, 512})
    for (auto packing : {kSeparate, kQkv, kQKv}) attention(cases, d, {1, 33, 33, 2, dim}, packing);
  attention(cases, d, {1, 64, 64, 1, 512}, kSeparate);
  attention(cases, d, {1, 100, 100, 1, 512}, kQkv);
  // Ones, primes, lengths next to every block size, head sizes that are not a multiple of a vector.
  attention(cases, d, {1, 1, 1, 1, 8}, kSeparate);
  attention(cases, d, {3, 1, 1, 1, 1}, kSeparate);
  attention(cases, d, {1, 1, 77, 2, 64}, kQKv);
  attention(cases, d, {2, 77, 1, 2, 64}, kSeparate);
  attention(cases, d, {3, 13, 7, 3, 5}, kSeparate);
  attention(cases, d, {1, 31, 17, 2, 20}, kQKv);
  attention(cases, d, {1, 65, 129, 1, 64}, kSeparate);
  attention(cases, d, {1, 127, 63, 1, 40}, kSeparate);
  attention(cases, d, {1, 19, 515, 1, 16}, kQKv);
  attention(cases, d, {1, 5, 11, 2, 8}, kSeparate, true);
  attention(cases, d, {1, 11, 5, 2, 8}, kSeparate, true);
  attention(cases, d, {2, 130, 130, 1, 32}, kQkv, true);
  attention(cases, d, {1, 40, 70, 2, 64}, kSeparate, false, CaseSize::quick, 40);
}

// SDXL's skip connections on small pictures, where a group may be in both parts; then parts that end within vectors.
void add_norms_with_tails(std::vector<Case>& cases, DType d) {
  const GroupNorm silu{32, 1e-5f, Activation::silu};
  group_norm_with_tail(cases, d, {2, 6, 6, 640}, 320, silu);
  group_norm_with_tail(cases, d, {2, 6, 6, 320}, 320, silu);
  group_norm_with_tail(cases, d, {1, 4, 4, 1280}, 640, silu);
  group_norm_with_tail(cases, d, {1, 4, 4, 1280}, 1280, silu);
  for (bool shift : {false, true}) {
    group_norm_with_tail(cases, d, {2, 3, 5, 16}, 8, {4, 1e-5f, Activation::none, shift});
    group_norm_with_tail(cases, d, {2, 3, 5, 12}, 12, {4, 1e-5f, Activation::silu, shift});
    group_norm_with_tail(cases, d, {3, 13, 1, 17}, 18, {5, 1e-5f, Activation::silu, shift});
  }
  group_norm_with_tail(cases, d, {1, 1, 1, 1}, 1, {1, 1e-5f});
  group_norm_with_tail(cases, d, {1, 11, 13, 2}, 31, {1, 1e-5f});
  group_norm_with_tail(cases, d, {1, 16, 16, 40}, 24, {8, 1e-5f}, CaseSize::quick, 8);
  if (d == DType::f32) return;
  // From a residual stream of a wider dtype, where x has the bytes of the result.
  group_norm_with_tail(cases, DType::f32, {2, 8, 8, 64}, 64, {32, 1e-5f, Activation::silu, false, d});
  group_norm_with_tail(cases, DType::f32, {1, 5, 3, 18}, 17, {5, 1e-5f, Activation::none, true, d});
}

void add_quick_norms(std::vector<Case>& cases, DType d) {
  group_norm(cases, d, {2, 16, 16, 320}, {32, 1e-5f, Activation::silu});
  group_norm(cases, d, {2, 8, 8, 640}, {32, 1e-5f, Activation::silu, true});
  group_norm(cases, d, {2, 4, 4, 1280}, {32, 1e-6f});
  for (int64_t width : {960, 1920, 2560}) group_norm(cases, d, {1, 4, 4, width}, {32, 1e-5f, Activation::silu});
  group_norm(cases, d, {1, 24, 24, 128}, {32, 1e-6f, Activation::silu});
  group_norm(cases, d, {1, 8, 8, 512}, {32, 1e-6f});
  for (Activation a : kActivations)
    for (bool shift : {false, true}) group_norm(cases, d, {2, 3, 5, 24}, {4, 1e-5f, a, shift});
  group_norm(cases, d, {1, 1, 1, 2}, {1, 1e-5f});
  group_norm(cases, d, {3, 1, 7, 3}, {3, 1e-5f});
  group_norm(cases, d, {3, 13, 1, 35}, {5, 1e-5f, Activation::silu, true});
  group_norm(cases, d, {1, 11, 13, 33}, {1, 1e-5f});
  group_norm(cases, d, {1, 16, 16, 64}, {8, 1e-5f}, CaseSize::quick, 8);
  for (int64_t width : {320, 640, 768, 1280}) layer_norm(cases, d, {2, 19, width});
  layer_norm(cases, d, {3, 5, 2});
  layer_norm(cases, d, {7, 3});
  layer_norm(cases, d, {17});
  layer_norm(cases, d, {2, 3, 5, 1001});
  layer_norm(cases, d, {1, 64, 640}, CaseSize::quick, 8);
  if (d == DType::f32) return;
  // From a residual stream of a wider dtype.
  group_norm(cases, DType::f32, {2, 8, 8, 64}, {32, 1e-5f, Activation::silu, false, d});
  group_norm(cases, DType::f32, {1, 5, 3, 35}, {5, 1e-5f, Activation::none, true, d});
  layer_norm(cases, DType::f32, {2, 19, 320}, CaseSize::quick, 0, {1e-5f, d});
  layer_norm(cases, DType::f32, {3, 5, 17}, CaseSize::quick, 0, {1e-5f, d});
}

}  // namespace

void add_norm_cases(std::vector<Case>& cases) {
  for (DType dtype : kFloats) {
    add_quick_norms(cases, dtype);
    add_norms_with_tails(cases, dtype);
  }
  constexpr auto kFull = CaseSize::full;
  const GroupNorm silu{32, 1e-5f, Activation::silu}, shifted{32, 1e-5f, Activation::silu, true};
  for (DType d : {DType::bf16, DType::f32}) {
    group_norm(cases, d, {2, 128, 128, 320}, silu, kFull);
    group_norm(cases, d, {2, 64, 64, 640}, shifted, kFull);
    group_norm(cases, d, {2, 32, 32, 1280}, shifted, kFull);
    group_norm(cases, d, {2, 128, 128, 960}, silu, kFull);
    group_norm_with_tail(cases, d, {2, 128, 128, 640}, 320, silu, kFull);
    group_norm(cases, d, {1, 512, 512, 256}, silu, kFull);
    group_norm(cases, d, {1, 1024, 1024, 128}, silu, CaseSize::huge);
    layer_norm(cases, d, {2, 4096, 640}, kFull);
    layer_norm(cases, d, {2, 1024, 1280}, kFull);
  }
}

void add_attention_cases(std::vector<Case>& cases) {
  for (DType dtype : kFloats) add_quick_attention(cases, dtype);
  for (DType d : {DType::bf16, DType::f32}) {
    attention(cases, d, {1, 1024, 1024, 20, 64}, kQkv, false, CaseSize::full);
    attention(cases, d, {2, 4096, 77, 10, 64}, kQKv, false, CaseSize::full);
    attention(cases, d, {2, 1024, 77, 20, 64}, kQKv, false, CaseSize::full);
    attention(cases, d, {1, 4096, 4096, 1, 512}, kQkv, false, CaseSize::full);
    attention(cases, d, {2, 77, 77, 12, 64}, kQkv, true, CaseSize::full);
    attention(cases, d, {2, 1024, 1024, 20, 64}, kQkv, false, CaseSize::huge);
    attention(cases, d, {2, 4096, 4096, 10, 64}, kQkv, false, CaseSize::huge);
    attention(cases, d, {1, 16384, 16384, 1, 512}, kQkv, false, CaseSize::huge);
  }
}

}  // namespace tempera
