// attention/naive: all scores of all heads in memory, then softmax, then the product with V, as in a textbook. It is
// for comparison with attention/flash, above all of memory.
#include "backend/cpu/kernels/targets.h"
//
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "backend/cpu/kernels/attention_naive.cpp"
#include "hwy/foreach_target.h"
//
#include <algorithm>

#include "backend/cpu/kernels/attention.h"
#include "backend/cpu/kernels/vector-inl.h"
#include "backend/cpu/launch.h"

HWY_BEFORE_NAMESPACE();
namespace tempera {
namespace HWY_NAMESPACE {
namespace {

template <class T>
HWY_INLINE float dot(const T* a, const T* b, int64_t n) {
  const VectorTag d;
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  auto sum = hn::Zero(d);
  int64_t i = 0;
  for (; i + lanes <= n; i += lanes) sum = hn::MulAdd(load(d, a + i), load(d, b + i), sum);
  float result = hn::GetLane(hn::SumOfLanes(d, sum));
  for (; i < n; ++i) result += to_float(a[i]) * to_float(b[i]);
  return result;
}

// Scores of one query with its keys.
template <class T>
void score_row(const AttentionShape& shape, const T* q, const T* k, int64_t visible, float* scores) {
  for (int64_t key = 0; key < visible; ++key) scores[key] = shape.scale * dot(q, k + key * shape.kv_stride, shape.dim);
}

void softmax_row(float* scores, int64_t visible, int64_t keys) {
  const float max = *std::max_element(scores, scores + visible);
  float sum = 0;
  for_each_vector(0, visible, [&](auto d, int64_t i) HWY_ATTR {
    const auto p = hn::Exp(d, hn::Sub(load(d, scores + i), hn::Set(d, max)));
    store(d, p, scores + i);
    sum += hn::GetLane(hn::SumOfLanes(d, p));
  });
  const float inverse = 1.0f / sum;
  for_each_vector(0, visible, [&](auto d, int64_t i) HWY_ATTR {
    store(d, hn::Mul(load(d, scores + i), hn::Set(d, inverse)), scores + i);
  });
  std::fill(scores + visible, scores + keys, 0.0f);
}

// out = sum over keys of probability times value. One strip of channels at a time is in registers.
template <int kVectors, class T, class D>
HWY_INLINE void value_strip(D d, const float* p, const T* v, int64_t stride, int64_t keys, T* out) {
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  hn::Vec<D> sum[kVectors];
  for (int i = 0; i < kVectors; ++i) sum[i] = hn::Zero(d);
  for (int64_t key = 0; key < keys; ++key)
    for (int i = 0; i < kVectors; ++i)
      sum[i] = hn::MulAdd(hn::Set(d, p[key]), load(d, v + key * stride + i * lanes), sum[i]);
  for (int i = 0; i < kVectors; ++i) store(d, sum[i], out + i * lanes);
}

template <class T>
void value_row(const AttentionShape& shape, const float* p, const T* v, int64_t keys, T* out) {
  const VectorTag d;
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  int64_t i = 0;
  for (; i + 4 * lanes <= shape.dim; i += 4 * lanes) value_strip<4>(d, p, v + i, shape.kv_stride, keys, out + i);
  for_each_vector(i, shape.dim,
                  [&](auto tag, int64_t c) HWY_ATTR { value_strip<1>(tag, p, v + c, shape.kv_stride, keys, out + c); });
}

// One pass over queries [begin, end) of one head. scores: those of the head.
enum class Pass { scores, softmax, values };

template <class T>
void run_pass(Pass pass, const AttentionShape& shape, const AttentionHead& head, int64_t begin, int64_t end,
              float* scores) {
  for (int64_t t = begin; t < end; ++t) {
    float* row = scores + t * shape.keys;
    const int64_t visible = shape.causal ? std::min(t + 1, shape.keys) : shape.keys;
    if (pass == Pass::scores)
      score_row(shape, reinterpret_cast<const T*>(head.q) + t * shape.q_stride, reinterpret_cast<const T*>(head.k),
                visible, row);
    if (pass == Pass::softmax) softmax_row(row, visible, shape.keys);
    if (pass == Pass::values)
      value_row(shape, row, reinterpret_cast<const T*>(head.v), visible,
                reinterpret_cast<T*>(head.out) + t * shape.out_stride);
  }
}

}  // namespace

void naive_pass(int pass, const AttentionShape& shape, const AttentionHead& head, int64_t begin, int64_t end,
                float* scores) {
  if (shape.dtype == DType::f32) {
    run_pass<float>(static_cast<Pass>(pass), shape, head, begin, end, scores);
  } else {
    run_pass<bf16>(static_cast<Pass>(pass), shape, head, begin, end, scores);
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace tempera
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace tempera {
namespace {
HWY_EXPORT(naive_pass);
}

size_t naive_attention_workspace(const AttentionShape& shape) {
  return static_cast<size_t>(shape.pairs() * shape.queries * shape.keys) * sizeof(float);
}

void run_naive_attention(const AttentionShape& shape, const Binding& at) {
  auto* const scores = reinterpret_cast<float*>(at.workspace);
  for (int pass = 0; pass < 3; ++pass)
    parallel_ranges(shape.pairs() * shape.queries, 1, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end;) {
        const int64_t pair = i / shape.queries, t = i % shape.queries;
        const int64_t rows = std::min(shape.queries - t, end - i);
        HWY_DYNAMIC_DISPATCH(naive_pass)
        (pass, shape, attention_head(shape, at, pair), t, t + rows, scores + pair * shape.queries * shape.keys);
        i += rows;
      }
    });
}

}  // namespace tempera
#endif  // HWY_ONCE
