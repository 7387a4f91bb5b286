// Ops on single elements, and ops that only move elements. Those with one input element per output element may run in
// place.
#include <algorithm>
#include <array>
#include <cstring>

#include "backend/reference/kernels.h"
#include "backend/reference/numbers.h"
#include "base/parallel.h"

namespace tempera::reference {
namespace {

constexpr int64_t kGrain = 1024;  // elements that are enough work for a thread

// Calls element(i) for every element of the output.
template <class Element>
void for_each(const Problem& p, const Element& element) {
  parallel_for(p.output.shape.elements(), kGrain, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) element(i);
  });
}

}  // namespace

void activate(const Problem& p, const Binding& b) {
  const Activation kind = std::get<Activate>(p.op).kind;
  for_each(p, [kind, x = numbers(p, b, 0), out = result(p, b)](int64_t i) { out.set(i, apply(kind, x[i])); });
}

void scale(const Problem& p, const Binding& b) {
  const auto& op = std::get<Scale>(p.op);
  const auto channels = static_cast<int64_t>(op.factor.size());
  for_each(p, [&, channels, x = numbers(p, b, 0), out = result(p, b)](int64_t i) {
    const auto c = static_cast<size_t>(i % channels);
    out.set(i, static_cast<double>(op.factor[c]) * x[i] + static_cast<double>(op.offset[c]));
  });
}

void cast(const Problem& p, const Binding& b) {
  for_each(p, [x = numbers(p, b, 0), out = result(p, b)](int64_t i) { out.set(i, x[i]); });
}

void add(const Problem& p, const Binding& b) {
  const Shape &to = p.output.shape, &from = p.inputs[1].shape;
  // The step of the second operand in each dimension: 0 where it is broadcast.
  std::array<int64_t, Shape::kMaxRank> strides{};
  int64_t stride = 1;
  for (int d = to.rank() - 1; d >= 0; --d) {
    strides[static_cast<size_t>(d)] = from[d] == 1 ? 0 : stride;
    stride *= from[d];
  }
  const Numbers x = numbers(p, b, 0), y = numbers(p, b, 1);
  const Result out = result(p, b);
  for_each(p, [&](int64_t i) {
    int64_t rest = i, j = 0;
    for (int d = to.rank() - 1; d >= 0; --d) {
      j += rest % to[d] * strides[static_cast<size_t>(d)];
      rest /= to[d];
    }
    out.set(i, x[i] + y[j]);
  });
}

void gelu_gate(const Problem& p, const Binding& b) {
  const int64_t width = p.output.shape[-1];
  const Numbers x = numbers(p, b, 0);
  const Result out = result(p, b);
  for_each(p, [&](int64_t i) {
    const int64_t at = i / width * 2 * width + i % width;
    out.set(i, x[at] * gelu(x[at + width]));
  });
}

void concat(const Problem& p, const Binding& b) {
  const size_t size = size_of(p.output.dtype);
  const size_t first = static_cast<size_t>(p.inputs[0].shape[-1]) * size;
  const size_t second = static_cast<size_t>(p.inputs[1].shape[-1]) * size;
  parallel_for(p.output.shape.rows(), 1, [&](int64_t begin, int64_t end) {
    for (auto row = static_cast<size_t>(begin); row < static_cast<size_t>(end); ++row) {
      std::byte* out = b.output + row * (first + second);
      std::memcpy(out, b.inputs[0] + row * first, first);
      std::memcpy(out + first, b.inputs[1] + row * second, second);
    }
  });
}

void upsample2x(const Problem& p, const Binding& b) {
  const Shape& in = p.inputs[0].shape;
  const int64_t height = p.output.shape[1], width = p.output.shape[2];  // one less than twice if the target is odd
  const size_t pixel = static_cast<size_t>(p.output.shape[3]) * size_of(p.output.dtype);
  parallel_for(p.output.shape[0] * height, 1, [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row)
      for (int64_t x = 0; x < width; ++x) {
        const int64_t source = (row / height * in[1] + row % height / 2) * in[2] + x / 2;
        std::memcpy(b.output + static_cast<size_t>(row * width + x) * pixel,
                    b.inputs[0] + static_cast<size_t>(source) * pixel, pixel);
      }
  });
}

// float32 as in diffusers: it decides the rounding of ties. NaN is black.
void to_rgb8(const Problem& p, const Binding& b) {
  auto* out = reinterpret_cast<uint8_t*>(b.output);
  for_each(p, [out, x = numbers(p, b, 0)](int64_t i) {
    const float half = static_cast<float>(x[i]) / 2 + 0.5f;
    const float unit = half > 0 ? std::min(half, 1.0f) : 0.0f;
    out[i] = static_cast<uint8_t>(std::nearbyint(unit * 255));
  });
}

}  // namespace tempera::reference
